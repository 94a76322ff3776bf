import CouchDB
import CouchDocument
import Foundation
import TestSupport
import Testing
import TokenPool

@testable import TokenPoolWorker

@Suite("What comes of a command", .timeLimit(.minutes(2)))
struct ResultTests {
    @Test("fields come from tokenpool-result.json and from lines of stdout, but not the pool's own")
    func fields() async throws {
        try await PilotFixture.with { fixture in
            try await fixture.add("a") { token in
                token.pool.command =
                    #"printf '{"chi2": 1.5, "note": "żółć", "tags": [1]}' > tokenpool-result.json; echo x; echo 'RESULT mean=3.25'; echo 'RESULT name=a b'"#
                token.pool.resultPattern = #"^RESULT (?<name>\w+)=(?<value>.*)$"#
            }
            try await fixture.add("named") { token in
                token.pool.command = "echo 'took 17 s at 3 GHz'"
                token.pool.resultPattern = #"took (?<seconds>\d+) s at (?<speed>.*)$"#
            }
            try await fixture.add("greedy") { token in
                token.pool.command = #"printf '{"lock": 7, "fine": true, "_id": "z"}' > tokenpool-result.json"#
            }
            try await fixture.add("broken") { $0.pool.command = "echo no > tokenpool-result.json" }
            try await fixture.pilot().run()
            let token = try await fixture.pool.token("a")
            #expect(token.state == .done)
            #expect(token["chi2"]?.numberValue == 1.5 && token["note"] == "żółć" && token["tags"] == [1])
            #expect(token["mean"]?.numberValue == 3.25 && token["name"] == "a b")
            let named = try await fixture.pool.token("named")
            #expect(named["seconds"] == 17 && named["speed"] == "3 GHz")
            let greedy = try await fixture.pool.token("greedy")
            #expect(greedy.state == .error)
            #expect(greedy["fine"] == true)
            #expect(greedy.errors.count == 2)
            let broken = try await fixture.pool.token("broken")
            #expect(broken.errors.last?["message"]?.stringValue?.hasPrefix("tokenpool-result.json is no JSON") == true)
        }
    }

    @Test("an output beyond the limit is not kept, and the token says so")
    func limit() async throws {
        try await PilotFixture.with { fixture in
            try await fixture.add("a") { token in
                token.pool.command = "head -c 100 /dev/zero > small; head -c 101 /dev/zero > large"
                token.pool.outputs = ["*"]
                token.pool.outputLimit = 100
            }
            try await fixture.pilot().run()
            let token = try await fixture.pool.token("a")
            #expect(token.state == .error)
            #expect(token.uploads?.objectValue?.names == ["small"])
            #expect(token.errors.last?["message"]?.stringValue?.contains("large is not kept: it has 101 bytes") == true)
        }
    }

    @Test("outputs go to a folder when the token says so, and only where they are and their checksum stay in the token")
    func folder() async throws {
        try await PilotFixture.with { fixture in
            let target = fixture.folder + "/cache/results/{set}"
            try await fixture.add("a/b ü") { token in
                token.pool.set = "s"
                token.pool.command = "mkdir sub; printf abc > 'sub/x y.txt'"
                token.pool.outputs = ["**"]
                token.pool.outputTarget = target
            }
            try await fixture.pilot(change: { $0.source = .queues() }).run()
            let token = try await fixture.pool.token("a/b ü")
            #expect(token.state == .done, "\(token.errors)")
            let entry = try #require(token.uploads?["sub/x y.txt"])
            let place = try #require(entry["location"]?.stringValue)
            #expect(place == fixture.folder + "/cache/results/s/a%2Fb%20%C3%BC/sub/x y.txt")
            #expect(try String(contentsOfFile: place, encoding: .utf8) == "abc")
            #expect(
                entry["sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
            #expect(entry["length"] == 3)
            #expect(token.document.attachment("sub/x y.txt") == nil)
            let left = try FileManager.default.contentsOfDirectory(
                atPath: (place as NSString).deletingLastPathComponent)
            #expect(left == ["x y.txt"])
        }
    }

    @Test("outputs go to a web server by PUT; what it refuses fails the token, and the files stay")
    func url() async throws {
        try await PilotFixture.with { fixture in
            // A CouchDB takes files by PUT as well: as attachments of a document that is there.
            let server = try #require(URLComponents(string: try await TestServer.shared().url))
            let name = fixture.pool.database.name
            try await fixture.add("a") { token in
                token.pool.command = "printf abc > x.txt"
                token.pool.outputs = ["x.txt"]
                token.pool.outputTarget = "http://127.0.0.1:\(server.port ?? 80)/\(name)"
            }
            try await fixture.pilot().run()
            let token = try await fixture.pool.token("a")
            // Without a password the server says no.
            #expect(token.state == .error)
            #expect(
                token.errors.last?["message"]?.stringValue?.contains("could not be copied to http://127.0.0.1") == true)
            #expect(try fixture.leftovers.contains { $0.hasPrefix("a-") })
        }
    }

    @Test(
        "outputs reach a WebDAV server, whose folders are made; collecting fetches them and keeps only what was written",
        .enabled(if: WebDAVServer.isPossible, "python3 is not installed"))
    func webDAV() async throws {
        let web = try WebDAVServer()
        try await PilotFixture.with { fixture in
            let names = ["a/b ü", "c"]
            for id in names {
                try await fixture.add(id) { token in
                    token.pool.set = "s"
                    token.pool.command = "mkdir sub; printf %s {id} > 'sub/x y.txt'; head -c 300000 /dev/zero > big"
                    token.pool.outputs = ["**"]
                    token.pool.outputTarget = web.url + "/store/{set}/run 1".replacing(" ", with: "%20")
                }
            }
            try await fixture.pool.database.save(
                Document(id: "set_s", fields: ["type": "set", "name": "s", "state": "ready"]))
            try await fixture.pilot(change: { $0.source = .queues() }).run()
            let token = try await fixture.pool.token("a/b ü")
            #expect(token.state == .done, "\(token.errors)")
            let place = web.url + "/store/s/run%201/a%252Fb%20%C3%BC/sub/x%20y.txt"
            #expect(token.uploads?["sub/x y.txt"]?["location"]?.stringValue == place)
            #expect(token.document.attachments.names.sorted() == ["logs_a/b ü.err", "logs_a/b ü.out"])

            // One of the four is not what the worker wrote any more.
            try Data("other".utf8).write(to: URL(fileURLWithPath: web.folder + "/store/s/run 1/c/sub/x y.txt"))
            let folder = fixture.folder + "/cache/collected"
            let sets = TokenSets(fixture.pool)
            let matching: @Sendable (String) -> Bool = { !$0.hasPrefix("logs_") }
            var report = try await sets.collect("s", into: folder, matching: matching)
            #expect(report.files == 3 && report.failures.count == 1 && report.bytes == 600_000 + "a/b ü".utf8.count)
            #expect(report.failures.first?.contains("has 5 bytes, and the worker wrote 1") == true)
            #expect(try String(contentsOfFile: folder + "/a%2Fb ü/sub/x y.txt", encoding: .utf8) == "a/b ü")
            #expect(!FileManager.default.fileExists(atPath: folder + "/c/sub/x y.txt"))
            try Data("d".utf8).write(to: URL(fileURLWithPath: web.folder + "/store/s/run 1/c/sub/x y.txt"))
            report = try await sets.collect("s", into: folder, matching: matching)
            #expect(report.failures.first?.contains("another SHA-256") == true && report.present == 2)
            try Data("c".utf8).write(to: URL(fileURLWithPath: web.folder + "/store/s/run 1/c/sub/x y.txt"))
            report = try await sets.collect("s", into: folder, matching: matching)
            #expect(report.failures.isEmpty && report.files == 2 && report.present == 2)
            #expect(try String(contentsOfFile: folder + "/c/sub/x y.txt", encoding: .utf8) == "c")
        }
    }

    @Test("tokens of different sizes run side by side, never more than the machine has")
    func sizes() async throws {
        try await PilotFixture.with { fixture in
            let log = fixture.folder + "/cache-log"
            for number in 0..<12 {
                try await fixture.add("t\(number)") { token in
                    let cores = number % 3 + 1
                    token.pool.requires = ["cores": .integer(cores)]
                    token.pool.command = "echo +\(cores) >> \(log); sleep 0.05; echo -\(cores) >> \(log)"
                }
            }
            try await fixture.add("too big") { $0.pool.requires = ["cores": 5] }
            try await fixture.pilot(
                slots: 4,
                change: {
                    $0.source = .queues()
                    $0.offer = Offer(cores: 4)
                }
            ).run()
            var used = 0
            var most = 0
            for line in try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n") {
                used += Int(line) ?? 0
                most = max(most, used)
            }
            #expect(used == 0)
            #expect(most <= 4 && most > 1)
            for number in 0..<12 { #expect(try await fixture.pool.token("t\(number)").state == .done) }
            #expect(try await fixture.pool.token("too big").state == .todo)
        }
    }
}
