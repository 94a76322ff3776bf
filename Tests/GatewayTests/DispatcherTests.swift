import CouchDocument
import Foundation
import Testing
import TokenPool

@testable import Gateway

@Suite("The dispatcher over HTTP", .serialized)
struct DispatcherTests {
    @Test("signs in with a password, with an own token, or not; an answer is empty and the token is in a header")
    func signIn() async throws {
        try await Dispatching.run { dd in
            let wrong = try await dd.send("POST", "/auth/auth?method=ldap", raw: "alice:no")
            #expect(wrong.status == 401 && wrong.text == "Authentication failed\n")
            let challenge = try await dd.send("GET", "/auth/auth?method=digest")
            #expect(challenge.status == 401)
            #expect(challenge.headers["www-authenticate"]?.hasPrefix(#"Digest realm="metacat", nonce=""#) == true)
            let token = try await dd.token("alice")
            #expect(try await dd.send("GET", "/auth/whoami", token: token).text == "alice")
            let again = try await dd.send(
                "POST", "/auth/auth?method=token&username=alice", headers: ["Authorization": "bearer \(token)"])
            #expect(again.status == 200 && again.text.isEmpty && again.headers["x-authentication-token"] != nil)
            let other = try await dd.send(
                "POST", "/auth/auth?method=token&username=bob", headers: ["Authorization": "bearer \(token)"])
            #expect(other.status == 401)
            #expect(try await dd.send("GET", "/data/projects", token: token + "x").text == "Token verification failed")
        }
    }

    @Test("reserves with the replicas of the site, as the original writes it, and gives back")
    func cycle() async throws {
        try await Dispatching.run { dd in
            let alice = try await dd.token("alice")
            let number = try await dd.create(["a"], token: alice, ["project_attributes": ["x": "y"]])
            let next = "/data/next_file?project_id=\(number)&worker_id=w_x&cpu_site=SITE"
            let answer = try await dd.send("GET", next, token: alice)
            #expect(answer.headers["content-type"] == "text/json; charset=UTF-8")
            let handle = try #require(answer.json["handle"])
            #expect(answer.json["reason"] == "reserved" && answer.json["retry"] == false)
            #expect(handle["worker_id"] == "w_x" && handle["attempts"] == 1 && handle["state"] == "reserved")
            #expect(handle["project_attributes"] == ["x": "y"])
            #expect(handle["replicas"]?.objectValue?.names == ["B", "A"])
            #expect(
                handle["replicas"]?["B"] == [
                    "name": "a", "namespace": "test", "path": nil, "rse": "B", "url": "root://b//a",
                    "urls": ["root://b//a"], "preference": 3, "available": true, "rse_available": true, "proximity": 3,
                ])
            let empty = try await dd.send("GET", next, token: alice)
            #expect(empty.json == ["handle": nil, "reason": "retry", "retry": true])
            let release = "/data/release?handle_id=\(number):test:a&failed="
            let back = try await dd.send("GET", release + "yes&retry=yes", token: alice)
            #expect(back.json["state"] == "initial" && back.json["worker_id"] == .null && back.json["attempts"] == 1)
            #expect(back.json["reserved_since"] == handle["reserved_since"])
            #expect(try await dd.send("GET", release + "no", token: alice).status == 404)
            #expect(try await dd.send("GET", next, token: alice).json["handle"]?["attempts"] == 2)
            #expect(try await dd.send("GET", release + "no", token: alice).json["state"] == "done")
            #expect(try await dd.send("GET", next, token: alice).json["reason"] == "project inactive")
            let page = try await dd.send("GET", "/data/project?project_id=\(number)&with_files=yes&with_replicas=yes")
            #expect(page.json["state"] == "done" && page.json["active"] == false)
            #expect(page.json["file_handles"]?[0]?["replicas"]?["A"]?["preference"] == 0)
        }
    }

    @Test("who may do what: anonymous, stranger, listed user, member of a role, owner, admin")
    func authorisation() async throws {
        try await Dispatching.run { dd in
            var tokens: [String: String?] = ["nobody": nil]
            for user in ["alice", "bob", "carol", "dave", "root1"] { tokens[user] = .some(try await dd.token(user)) }
            let alice = try #require(tokens["alice"] ?? nil)
            let number = try await dd.create(
                ["a", "b"], token: alice, ["users": ["bob"], "roles": ["production"]])
            let next = "/data/next_file?project_id=\(number)&worker_id=w&cpu_site=DEFAULT"
            for (user, works, rules) in [
                ("nobody", 401, 401), ("dave", 403, 403), ("bob", 200, 403), ("carol", 200, 403), ("alice", 200, 200),
                ("root1", 200, 200),
            ] {
                let token = tokens[user] ?? nil
                let answer = try await dd.send("GET", next, token: token)
                #expect(answer.status == works, "\(user)")
                let name = answer.json["handle"]?["name"]?.stringValue ?? "a"
                let release = try await dd.send(
                    "GET", "/data/release?handle_id=\(number):test:\(name)&failed=yes&retry=yes", token: token)
                #expect(release.status == works, "\(user): \(release.text)")
                for page in ["cancel_project", "activate_project"] {
                    let change = try await dd.send("GET", "/data/\(page)?project_id=\(number)", token: token)
                    #expect(change.status == rules, "\(user) \(page)")
                }
                let restart = try await dd.send(
                    "POST", "/data/restart_handles", token: token,
                    body: ["project_id": .string("\(number)"), "done": false, "failed": false, "reserved": true])
                #expect(restart.status == rules, "\(user) restart")
                let admin = try await dd.send("GET", "/data/set_rse_availability?name=A&available=yes", token: token)
                #expect(admin.status == (user == "root1" ? 200 : user == "nobody" ? 401 : 403), "\(user) rse")
                #expect(try await dd.send("GET", "/data/rses", token: token).status == 200)
                #expect(try await dd.send("GET", "/data/project?project_id=\(number)", token: token).status == 200)
            }
            for user in ["nobody", "dave", "bob", "carol"] {
                let answer = try await dd.send(
                    "GET", "/data/delete_project?project_id=\(number)", token: tokens[user] ?? nil)
                #expect(answer.status == (user == "nobody" ? 401 : 403))
            }
            #expect(try await dd.send("GET", "/data/delete_project?project_id=\(number)", token: alice).text == "null")
            #expect(try await dd.send("GET", "/data/delete_project?project_id=\(number)", token: alice).status == 404)
        }
    }

    @Test("what is wrong is refused with one line, and nothing happens")
    func badInput() async throws {
        try await Dispatching.run { dd in
            let alice = try await dd.token("alice")
            let file: JSON = ["namespace": "test", "name": "a"]
            for body: JSON in [
                [], "x", [:], ["files": 3], ["files": [["name": "a"]]], ["files": [["namespace": "a:b", "name": "c"]]],
                ["files": [file, file]], ["files": [file], "worker_timeout": -1],
                ["files": [file], "worker_timeout": "soon"], ["files": [file], "users": ["nobody"]],
                ["files": [file], "users": "bob"], ["files": [file], "project_attributes": [1]],
            ] {
                let answer = try await dd.send("POST", "/data/create_project", token: alice, body: body)
                #expect(answer.status == 400 && !answer.text.contains("\n") && !answer.text.isEmpty, "\(body)")
            }
            #expect(try await dd.send("POST", "/data/create_project", token: alice, raw: "{").status == 400)
            #expect(try await dd.projects.list(Projects.Selection()).isEmpty)
            for (path, status) in [
                ("/data/project?project_id=abc", 400), ("/data/project", 400), ("/data/project?project_id=99999", 404),
                ("/data/project?project_id=-1", 400), ("/data/handles?project_id=1';drop&state=x'--", 400),
                ("/data/next_file?project_id=1&cpu_site=X", 400), ("/data/next_file?project_id=9&worker_id=w", 404),
                ("/data/release?handle_id=x&failed=no", 400), ("/data/release?handle_id=9:a:b&failed=no", 404),
                ("/data/get_rse?name=NOPE", 404), ("/data/nothing", 404), ("/data/copy_project", 405),
                ("/auth/auth?method=magic", 400), ("/nothing", 404), ("/data/projects?attributes=%7B", 400),
            ] {
                let answer = try await dd.send("GET", path, token: alice)
                #expect(answer.status == status && !answer.text.isEmpty, "\(path): \(answer.text)")
            }
        }
    }

    @Test("a vanished worker's file comes back within two seconds of its time, without a janitor's help")
    func prompt() async throws {
        try await Dispatching.run(["--janitor"]) { dd in
            let alice = try await dd.token("alice")
            let number = try await dd.create(["a"], token: alice, ["worker_timeout": 1])
            let next = "/data/next_file?project_id=\(number)&worker_id=w&cpu_site=DEFAULT"
            #expect(try await dd.send("GET", next, token: alice).json["retry"] == false)
            let start = ContinuousClock.now
            var handle: JSON?
            while handle?["state"] != "initial", ContinuousClock.now - start < .seconds(20) {
                handle = try await dd.send("GET", "/data/project?project_id=\(number)").json["file_handles"]?[0]
            }
            #expect(handle?["state"] == "initial" && handle?["attributes"] == ["timeouts": 1])
        }
    }

    @Test("where the pool is private, nothing is shown to strangers")
    func privatePool() async throws {
        try await Dispatching.run(["--dispatcher-private"]) { dd in
            let alice = try await dd.token("alice")
            let number = try await dd.create(["a"], token: alice)
            for path in [
                "/data/project?project_id=\(number)", "/data/handles?project_id=\(number)", "/data/rses",
                "/data/get_rse?name=A", "/data/projects",
            ] {
                #expect(try await dd.send("GET", path).status == 401, "\(path)")
                #expect(try await dd.send("GET", path, token: alice).status == 200, "\(path)")
            }
        }
    }

    @Test("our own workers wait for a file in one request, and say that they live: POST /renew")
    func ownWorkers() async throws {
        try await Dispatching.run { dd in
            let (alice, dave) = (try await dd.token("alice"), try await dd.token("dave"))
            let number = try await dd.create(["a"], token: alice)
            let next = "/data/next_file?project_id=\(number)&cpu_site=DEFAULT&worker_id="
            #expect(try await dd.send("GET", next + "w1&wait=60", token: alice).json["handle"]?["name"] == "a")
            let renew = "/data/renew?project_id=\(number)&worker_id="
            let renewed = try await dd.send("POST", renew + "w1", token: alice)
            #expect(renewed.json == ["renewed": 1, "files": ["test:a"], "state": "active"])
            #expect(try await dd.send("POST", renew + "w2", token: alice).json["renewed"] == 0)
            #expect(try await dd.send("POST", renew + "w1", token: dave).status == 403)
            #expect(try await dd.send("POST", renew + "w1").status == 401)
            #expect(try await dd.send("GET", renew + "w1", token: alice).status == 405)
            #expect(try await dd.send("POST", "/data/renew?project_id=\(number)", token: alice).status == 400)
            #expect(try await dd.send("POST", "/data/renew?project_id=99&worker_id=w", token: alice).status == 404)
            #expect(try await dd.send("GET", next + "w2&wait=soon", token: alice).status == 400)
            async let waiting = dd.send("GET", next + "w2&wait=60", token: alice)
            let back = "/data/release?handle_id=\(number):test:a&failed=yes&retry=yes"
            #expect(try await dd.send("GET", back, token: alice).status == 200)
            #expect(try await waiting.json["handle"]?["worker_id"] == "w2")
            #expect(try await dd.send("GET", next + "w3&wait=0.01", token: alice).json["reason"] == "retry")
        }
    }

    @Test("shows what happened: logs of a project and a file, counts by state and over time, what a worker has")
    func history() async throws {
        try await Dispatching.run { dd in
            let alice = try await dd.token("alice")
            let number = try await dd.create(["a", "b"], token: alice)
            let next = "/data/next_file?project_id=\(number)&worker_id=w1&cpu_site=SITE"
            #expect(try await dd.send("GET", next, token: alice).json["handle"]?["name"] == "a")
            let mine = try await dd.send("GET", "/data/handles?project_id=\(number)&worker_id=w1")
            #expect(mine.json.arrayValue?.compactMap { $0["name"] } == ["a"])
            _ = try await dd.send("GET", "/data/release?handle_id=\(number):test:a&failed=yes&retry=no", token: alice)
            _ = try await dd.send("GET", "/data/cancel_project?project_id=\(number)", token: alice)
            let log = try await dd.send("GET", "/data/project_log?project_id=\(number)").json.arrayValue ?? []
            #expect(log.map { $0["event"] } == ["create", "cancel"] && log.last?["by"] == "alice")
            let file = try await dd.send("GET", "/data/file_log?handle_id=\(number):test:a").json.arrayValue ?? []
            #expect(file.map { $0["event"] } == ["create", "reserve", "failed"] && file.last?["worker_id"] == "w1")
            let counts = try await dd.send("GET", "/data/handle_state_counts?project_id=\(number)").json
            #expect(counts == ["initial": 1, "reserved": 0, "done": 0, "failed": 1])
            for query in ["?project_id=\(number)&window=hour", "?window=month", ""] {
                let events = try await dd.send("GET", "/data/event_counts" + query).json["counts"]?.arrayValue ?? []
                let total = events.compactMap { $0["reserve"]?.intValue }.reduce(0, +)
                #expect(total == 1, "\(query)")
            }
            for (page, status) in [
                ("file_log?handle_id=\(number):test:nope", 404), ("file_log?handle_id=99:test:a", 404),
                ("project_log?project_id=99", 404), ("project_log", 400), ("event_counts?window=year", 400),
                ("event_counts?from=5&to=1", 400), ("event_counts?part=7", 400), ("event_counts?from=x", 400),
            ] {
                #expect(try await dd.send("GET", "/data/" + page).status == status, "\(page)")
            }
        }
    }
}
