import CouchDocument
import Foundation
import TestSupport
import Testing
import TokenPool

@Suite("Replicas from elsewhere, through the dispatcher")
struct ReplicaJourneyTests {
    /// Asks for a file until there is one, for a minute at most.
    private func next(_ dd: Dispatching, _ number: Int, _ token: String) async throws -> JSON {
        let end = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < end {
            let path = "/data/next_file?project_id=\(number)&worker_id=w&cpu_site=SITE&wait=5"
            let answer = try await dd.send("GET", path, token: token)
            guard answer.status == 200 else {
                throw Dispatching.Failure(description: "\(answer.status) \(answer.text)")
            }
            if let handle = answer.json["handle"], !handle.isNull { return handle }
        }
        throw Dispatching.Failure(description: "no file came within a minute")
    }

    /// Calls something until it is so, for a minute at most.
    private func until(_ dd: Dispatching, _ isSo: () async throws -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(60)
        while try await !isSo() {
            guard ContinuousClock.now < end else { throw Dispatching.Failure(description: "it did not come to that") }
            // Each question gives the server time.
            _ = try await dd.send("GET", "/data/version")
        }
    }

    private func withFile<Result>(_ text: String, _ body: (String) async throws -> Result) async throws -> Result {
        let file = FileManager.default.temporaryDirectory.appending(path: "secret-\(UUID().uuidString)")
        try Data(text.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        return try await body(file.path)
    }

    @Test("a project's files come with the replicas that Rucio knows, also those that it learns later")
    func rucio() async throws {
        let rucio = RucioStandIn()
        rucio.add(rse: "R")
        rucio.set("test:x & y%", ["A": ["root://a/x", "https://a/x", "srm://a/x"], "R": ["root://r/x"]])
        rucio.fail("/replicas", with: .status(500, "down"), .cut(10))
        try await withFile("pw\n") { password in
            let configuration = """
                replicas:
                  schemes: [https, root]
                  poll: 1s
                  sources:
                    - {kind: rucio, url: "\(rucio.url)", account: dune, user: ddisp, password_file: "\(password)"}
                """
            try await Dispatching.run(configuration: configuration) { dd in
                let alice = try await dd.token("alice")
                let number = try await dd.create(["x & y%", "later"], token: alice)
                let first = try await next(dd, number, alice)
                #expect(first["name"] == "x & y%")
                #expect(first["replicas"]?.objectValue?.map(\.name) == ["A"], "R is not enabled")
                #expect(first["replicas"]?["A"]?["urls"] == ["https://a/x", "root://a//x"])
                try await until(dd) { try await dd.send("GET", "/data/get_rse?name=R").status == 200 }
                let found = try await dd.send("GET", "/data/get_rse?name=R")
                #expect(found.json["is_enabled"] == false)
                rucio.set("test:later", ["B": ["root://b/l"]])
                let second = try await next(dd, number, alice)
                #expect(second["replicas"]?["B"]?["url"] == "root://b//l")
            }
        }
    }

    @Test("a file on tape comes when it is online, through the death of the server that asked for it")
    func tape() async throws {
        let storage = TapeStandIn(token: "secret")
        try await withFile("secret\n") { token in
            let configuration = """
                tape:
                  - {rse: T, kind: wlcg, url: "\(storage.url)", token_file: "\(token)", poll: 1s, takeover: 2s}
                """
            try await Dispatching.run(configuration: configuration) { dd in
                let catalogue: JSON = [
                    "rses": [["name": "T", "is_tape": true]],
                    "replicas": [
                        ["namespace": "test", "name": "t1", "rse": "T", "url": "root://t//pnfs/t1"],
                        ["namespace": "test", "name": "t2", "rse": "T", "url": "root://t//pnfs/t2"],
                    ],
                ]
                _ = try await dd.projects.load(try Catalog(catalogue))
                let alice = try await dd.token("alice")
                let number = try await dd.create(["t1", "t2"], token: alice)
                try await until(dd) { storage.pins == ["/pnfs/t1": 1, "/pnfs/t2": 1] }
                let path = "/data/next_file?project_id=\(number)&worker_id=w&cpu_site=SITE"
                #expect(try await dd.send("GET", path, token: alice).json["handle"] == .null)
                try await until(dd) { !storage.requests.isEmpty }
                storage.bring("/pnfs/t2")
                #expect(try await next(dd, number, alice)["name"] == "t2")
                try await dd.server.kill()
                try await dd.server.restart()
                storage.bring("/pnfs/t1")
                storage.spoil("/pnfs/t2", nil)
                let again = try await dd.token("alice")
                #expect(try await next(dd, number, again)["name"] == "t1")
                #expect(storage.calls("/api/v1/stage").filter { $0.method == "POST" }.count == 1)
                for name in ["t1", "t2"] {
                    let answer = try await dd.send(
                        "GET", "/data/release?handle_id=\(number):test:\(name)&failed=no", token: again)
                    #expect(answer.status == 200)
                }
                try await until(dd) { storage.pins.isEmpty && storage.requests.isEmpty }
            }
        }
    }

    @Test(
        "what is wrong with replicas or tape in the configuration is told with file, line and key",
        arguments: [
            (
                "replicas:\n  sources:\n    - {kind: rucio, url: \"ftp://x\", token_file: /t}\n",
                ":3: replicas.sources[1].url:"
            ),
            (
                "replicas:\n  sources:\n    - kind: rucio\n      url: http://x\n",
                ":4: replicas.sources[1].url: say how to sign in"
            ),
            ("replicas:\n  sources:\n    - kind: ftp\n", ":3: replicas.sources[1].kind: one of folder, rucio, webdav"),
            (
                "replicas:\n  sources:\n    - kind: folder\n      rse: D\n      path: /x\n      account: a\n",
                ":6: replicas.sources[1].account: not for sources of kind folder"
            ),
            (
                "replicas:\n  sources:\n    - {kind: folder, rse: D, path: /x, layout: abc}\n",
                ":3: replicas.sources[1].layout: the layout \"abc\" has no {name} in it"
            ),
            ("replicas:\n  interval: often\n", ":2: replicas.interval: a duration"),
            ("tape:\n  - {rse: T, kind: srm}\n", ":2: tape[1].kind: wlcg or dcache is expected, not \"srm\""),
            ("tape:\n  - {rse: T, kind: wlcg}\n", "tape[1].url: the URL of the storage is expected"),
            (
                "tape:\n  - {rse: T, kind: dcache}\n  - {rse: T, kind: dcache}\n",
                ":3: tape[2].rse: \"T\" stands here twice"
            ),
            (
                "tape:\n  - {rse: T, kind: wlcg, url: http://x, certificate: /none}\n",
                "tape[1].certificate: /none can not be read"
            ),
        ])
    func faults(text: String, expected: String) async throws {
        try await withFile(text) { file in
            let server = try await TestServer.refused(["--dispatcher-config", file])
            #expect(server.status == 2)
            #expect(server.text.hasPrefix("tokenpoold: \(file)") && server.text.contains(expected), "\(server.text)")
            #expect(server.text.split(separator: "\n").count == 1)
        }
    }
}
