import CouchDB
import CouchDocument
import Foundation
import Testing
import TokenPool

@testable import Gateway

@Suite("Hostile input to the dispatcher", .serialized)
struct HostileInputTests {
    private static let texts = [
        "' OR '1'='1", "'; DROP TABLE projects; --", "\"", "\\", "%", "%00", "100%zz", "a+b", "a&failed=yes&retry=no",
        "#",
        "a\nX-Injected: yes", "\u{0}", "{\"$gt\":null}", "[]", "../../_users", "_design/projects", "\u{fff0}",
        "\u{202e}x",
        "<script>alert(1)</script>", "${jndi:ldap://x}", "9223372036854775808", "-1", "1e3", " ", "é\u{301}",
        String(repeating: "x", count: 3000),
    ]

    private static func encoded(_ text: String) -> String {
        text.utf8.map { byte in
            byte < 128 && Character(Unicode.Scalar(byte)).isLetter
                ? String(Unicode.Scalar(byte)) : String(format: "%%%02X", byte)
        }.joined()
    }

    @Test(
        "in any parameter of any page, it is refused with one line or taken as the name that it is; nothing else happens"
    )
    func parameters() async throws {
        try await Dispatching.run { dd in
            let (alice, admin) = (try await dd.token("alice"), try await dd.token("root1"))
            let number = try await dd.create(["a"], token: alice, ["project_attributes": ["secret": "s3cr3t"]])
            let before = try await dd.projects.database.info().updateSequence
            for text in Self.texts {
                let hostile = Self.encoded(text)
                for path in [
                    "/data/project?project_id={}", "/data/project?project_id=\(number)&with_files={}",
                    "/data/handles?project_id={}", "/data/handles?project_id=\(number)&state={}",
                    "/data/handles?project_id=\(number)&not_state={}", "/data/get_rse?name={}",
                    "/data/projects?owner={}", "/data/projects?state={}", "/data/projects?not_state={}",
                    "/data/projects?attributes={}", "/data/next_file?project_id={}&worker_id=w",
                    "/data/release?handle_id={}&failed=no", "/data/release?handle_id=\(number):{}&failed=no",
                    "/data/release?handle_id=\(number):test:{}&failed=no",
                    "/data/release?handle_id={}:test:a&failed=no",
                    "/data/release?handle_id=\(number):test:a&failed={}", "/data/cancel_project?project_id={}",
                    "/data/activate_project?project_id={}", "/data/delete_project?project_id={}",
                    "/data/set_rse_availability?name={}&available=no", "/data/set_rse_availability?name=A&available={}",
                    "/data/delete_rse?name={}", "/auth/auth?method={}", "/data/{}", "/auth/{}",
                ] {
                    let answer = try await dd.send("GET", path.replacing("{}", with: hostile), token: admin)
                    #expect(answer.status < 500, "\(path) \(text.debugDescription): \(answer.text)")
                    #expect(answer.headers["x-injected"] == nil)
                    if answer.status != 200 {
                        #expect(!answer.text.isEmpty && !answer.text.contains("\n"), "\(path) \(answer.text)")
                    } else {
                        // Only the project that was asked for by its number, in the two readings that name it.
                        let isAsked = path.contains("project_id=\(number)")
                        #expect(isAsked || !answer.text.contains("s3cr3t"), "\(path) \(text.debugDescription)")
                    }
                }
            }
            #expect(try await dd.projects.database.info().updateSequence == before)
            #expect(try await dd.send("GET", "/data/project?project_id=\(number)").status == 200)
        }
    }

    private static let values: [JSON] = [
        nil, "", "\u{0}", "' OR 1=1 --", "a\nb", -1, .double(1.5) ?? .null, 9_223_372_036_854_775_807, [], [:], [[]],
        [nil], ["\u{0}"],
        true,
        ["a": ["b": [1, [2, [3]]]]], .string(String(repeating: "x", count: 100_000)),
    ]

    @Test("in any member of any body, it is refused with one line or taken as the value that it is")
    func bodies() async throws {
        try await Dispatching.run { dd in
            let admin = try await dd.token("root1")
            let number = try await dd.create(["a"], token: admin)
            let bodies: [(String, JSONObject)] = [
                (
                    "create_project",
                    [
                        "files": [["namespace": "test", "name": "a", "attributes": [:]]], "project_attributes": [:],
                        "query": nil, "worker_timeout": 60, "idle_timeout": 60, "users": [], "roles": [],
                    ]
                ),
                (
                    "copy_project",
                    [
                        "project_id": .integer(number), "file_attributes": [:], "project_attributes": [:],
                        "worker_timeout": 1, "idle_timeout": 1,
                    ]
                ),
                (
                    "restart_handles",
                    [
                        "project_id": .integer(number), "done": false, "failed": false, "reserved": false, "all": false,
                        "handles": [],
                    ]
                ),
                ("search_projects", ["query": "n", "owner": "x", "state": "active", "with_handles": true]),
                ("create_rse", ["name": "new", "description": "", "is_enabled": true, "preference": 1, "pin_url": ""]),
                ("update_rse", ["Name": "A", "Description": "", "Enabled": true, "Preference": 1, "PinURL": ""]),
            ]
            for (page, body) in bodies {
                for name in body.names {
                    for value in Self.values {
                        var hostile = body
                        hostile[name] = value
                        let answer = try await dd.send("POST", "/data/\(page)", token: admin, body: .object(hostile))
                        #expect(answer.status < 500, "\(page) \(name) \(value): \(answer.text)")
                        if answer.status != 200 {
                            #expect(
                                !answer.text.isEmpty && !answer.text.contains("\n"), "\(page) \(name): \(answer.text)")
                        }
                    }
                }
                for raw in [
                    "", "{", "[]", "null", "\u{0}", String(repeating: "[", count: 200_000),
                    String(repeating: "{\"a\":", count: 100_000), "{\"a\":1e999}", "{\"a\":\"\\ud800\"}",
                ] {
                    let answer = try await dd.send("POST", "/data/\(page)", token: admin, raw: raw)
                    #expect(
                        answer.status == 400 && !answer.text.contains("\n"), "\(page): \(answer.status) \(answer.text)")
                }
            }
        }
    }

    @Test("names of files are data: each is made, reserved, shown and given back as it is")
    func names() async throws {
        try await Dispatching.run { dd in
            let alice = try await dd.token("alice")
            let names = Self.texts.filter { $0.utf8.count < 1000 }
            let number = try await dd.create(names, token: alice, ["project_attributes": ["virtual": true]])
            var left = Set(names)
            for _ in names {
                let next = try await dd.send(
                    "GET", "/data/next_file?project_id=\(number)&worker_id=w&cpu_site=DEFAULT", token: alice)
                let name = try #require(next.json["handle"]?["name"]?.stringValue, "\(next.text)")
                #expect(left.remove(name) != nil)
                let back = try await dd.send(
                    "GET", "/data/release?handle_id=\(number):test:\(Self.encoded(name))&failed=no", token: alice)
                #expect(back.status == 200 && back.json["name"]?.stringValue == name, "\(name.debugDescription)")
            }
            #expect(left.isEmpty)
            #expect(try await dd.send("GET", "/data/project?project_id=\(number)").json["state"] == "done")
        }
    }

    @Test("expressions that make other engines search for ever are answered, and too much of them is refused")
    func expressions() async throws {
        try await Dispatching.run { dd in
            let alice = try await dd.token("alice")
            _ = try await dd.create(
                ["a"], token: alice, ["project_attributes": ["s": .string(String(repeating: "a", count: 3000))]])
            for (expression, count) in [
                ("^(a+)+$", 1), ("^(a|a)*$", 1), ("^(a|aa)+$", 1), ("^((a*)*)*b$", 0), ("(.*)*(.*)*x", 0),
            ] {
                let answer = try await dd.send(
                    "POST", "/data/search_projects", body: ["query": .string("s ~ \"\(expression)\"")])
                #expect(answer.json.arrayValue?.count == count, "\(expression): \(answer.text)")
            }
            for expression in ["(a*)\\1", "a{256}", "(a{255}){255}", "(((((a{99}){99}){99}){99}){99})", "["] {
                let answer = try await dd.send(
                    "POST", "/data/search_projects", body: ["query": .string("s ~ \"\(expression)\"")])
                #expect(answer.status == 400 && answer.text.contains("is no regular expression"), "\(answer.text)")
            }
        }
    }
}
