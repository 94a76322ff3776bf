import CouchDocument
import Foundation
import TestSupport
import Testing

/// Clients that take their time, or the server's.
@Suite("Slow clients")
struct SlowClientTests {
    @Test(
        "a head that does not come to its end is cut off, on a new connection and on a kept one",
        .timeLimit(.minutes(2)))
    func slowHeads() async throws {
        let guarded = try await GuardedServer.start(["tokenpoold/head_timeout": "200"])
        let silent = try RawSocket(port: guarded.port)
        #expect(try await silent.drain() == 0)
        let slow = try RawSocket(port: guarded.port)
        try await slow.send("GET / HTTP/1.1\r\nHost: x\r\nX-Slow")
        #expect(try await slow.drain() == 0)
        let kept = try RawSocket(port: guarded.port)
        try await kept.send(GuardedServer.head("GET", "/_up"))
        #expect(try await kept.receive(until: "}}\n").contains("\"ok\""))
        try await kept.send("GET / HT")
        #expect(try await kept.drain() == 0)
        #expect(try await guarded.isAlive())
    }

    /// Files of attachments on their way into the data folder.
    private func uploadedFiles(of guarded: GuardedServer) -> [String] {
        let all = FileManager.default.enumerator(atPath: guarded.server.folder)?.compactMap { $0 as? String }
        return all?.filter { $0.contains("/upload-") } ?? []
    }

    @Test("a body that stops in the middle is cut off, and leaves nothing behind", .timeLimit(.minutes(2)))
    func slowBodies() async throws {
        let guarded = try await GuardedServer.start(["tokenpoold/body_timeout": "200"])
        #expect(try await guarded.request("PUT", "/d").status == 201)
        let uploads = ["/d/a", "/d/a/file"]
        for path in uploads {
            let socket = try RawSocket(port: guarded.port)
            try await socket.send(GuardedServer.head("PUT", path, "Content-Length: 2000000\r\n"))
            try await socket.send(String(repeating: "x", count: 1_000_000))
            #expect(try await !socket.receive(until: "never").contains("201"))
        }
        #expect(try await guarded.request("GET", "/d/a").status == 404)
        // What a cut connection leaves is removed after the cut; never: the time limit ends it.
        while !uploadedFiles(of: guarded).isEmpty { await Task.yield() }
    }

    @Test(
        "clients that never read their answers cost little memory, are cut off, and hold nobody up",
        .timeLimit(.minutes(2)))
    func stuckReaders() async throws {
        let guarded = try await GuardedServer.start(["tokenpoold/answer_timeout": "1000"])
        #expect(try await guarded.request("PUT", "/d").status == 201)
        let size = 32 << 20
        let file = String(repeating: "0123456789abcdef", count: size / 16)
        #expect(try await guarded.request("PUT", "/d/a/file", file).status == 201)
        let text = String(repeating: "y", count: 100_000)
        for start in stride(from: 0, to: 200, by: 50) {
            let docs = (start..<start + 50).map { "{\"_id\":\"doc\($0)\",\"text\":\"\(text)\"}" }
            let bulk = "{\"docs\":[\(docs.joined(separator: ","))]}"
            #expect(try await guarded.request("POST", "/d/_bulk_docs", bulk).status == 201)
        }
        let design = #"{"views":{"v":{"map":"function (doc) { emit(doc._id, 1) }"}}}"#
        #expect(try await guarded.request("PUT", "/d/_design/x", design).status == 201)
        #expect(try await guarded.request("GET", "/d/_design/x/_view/v?limit=1").status == 200)
        let before = try guarded.server.residentBytes
        var stuck: [RawSocket] = []
        for path in [
            "/d/a/file", "/d/_all_docs?include_docs=true", "/d/_changes?include_docs=true",
            "/d/_changes?feed=continuous&include_docs=true", "/d/_design/x/_view/v?include_docs=true",
        ] {
            for _ in 0..<10 {
                let socket = try RawSocket(port: guarded.port, receiveBuffer: 4096)
                try await socket.send(GuardedServer.head("GET", path))
                // The answer has begun: what it takes to write it is there.
                #expect(try await socket.peek() == "H", "\(path)")
                stuck.append(socket)
            }
        }
        // Others go on meanwhile, and so does the writer.
        for number in 0..<50 {
            #expect(try await guarded.request("PUT", "/d/next\(number)", "{}").status == 201)
            #expect(try await guarded.request("GET", "/d/next\(number)").status == 200)
        }
        // 50 answers of 20 to 32 MB would be 1.2 GB and more; held are a page of documents each, in several forms, and the
        // caches of the database.
        let grown = try guarded.server.residentBytes - before
        #expect(grown < 400 << 20, "\(grown >> 20) MB")
        for socket in stuck { #expect(try await socket.isCutOff()) }
        #expect(try await guarded.isAlive())
    }

    @Test("what is read by keys, by ids, by queries and with attachments is read by its bytes: nobody stuck holds much")
    func stuckReadersOfMuch() async throws {
        let guarded = try await GuardedServer.start()
        #expect(try await guarded.request("PUT", "/d").status == 201)
        let text = String(repeating: "y", count: 200_000)
        let file = Data(text.utf8).base64EncodedString()
        for start in stride(from: 0, to: 100, by: 20) {
            let docs = (start..<start + 20).map {
                "{\"_id\":\"doc\($0)\",\"n\":\($0),\"text\":\"\(text)\",\"_attachments\":{\"f\":{\"data\":\"\(file)\"}}}"
            }
            let bulk = "{\"docs\":[\(docs.joined(separator: ","))]}"
            #expect(try await guarded.request("POST", "/d/_bulk_docs", bulk).status == 201)
        }
        let design = #"{"views":{"v":{"map":"function (doc) { emit(doc._id, doc) }"}}}"#
        #expect(try await guarded.request("PUT", "/d/_design/x", design).status == 201)
        #expect(try await guarded.request("GET", "/d/_design/x/_view/v?limit=1").status == 200)
        #expect(try await guarded.request("POST", "/d/_index", #"{"index":{"fields":["n"]}}"#).status == 200)
        let ids = (0..<100).map { "\"doc\($0)\"" }.joined(separator: ",")
        let named = (0..<100).map { "{\"id\":\"doc\($0)\"}" }.joined(separator: ",")
        let requests = [
            ("/d/_all_docs?include_docs=true", "{\"keys\":[\(ids)]}"),
            ("/d/_all_docs?include_docs=true&attachments=true", "{}"),
            ("/d/_changes?include_docs=true&filter=_doc_ids", "{\"doc_ids\":[\(ids)]}"),
            ("/d/_changes?include_docs=true&attachments=true", "{}"),
            ("/d/_bulk_get?attachments=true", "{\"docs\":[\(named)]}"),
            ("/d/_find", #"{"selector":{"_id":{"$gt":null}},"limit":100}"#),
            ("/d/_find", #"{"selector":{"n":{"$gte":0}},"limit":100}"#),
            ("/d/_design/x/_view/v", "{}"),
        ]
        let before = try guarded.server.residentBytes
        var stuck: [RawSocket] = []
        for (path, body) in requests {
            for _ in 0..<6 {
                let socket = try RawSocket(port: guarded.port, receiveBuffer: 4096)
                let head = "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
                try await socket.send(GuardedServer.head("POST", path, head) + body)
                // The answer has begun: what it takes to write it is there.
                #expect(try await socket.peek() == "H", "\(path)")
                stuck.append(socket)
            }
        }
        for number in 0..<20 { #expect(try await guarded.request("PUT", "/d/next\(number)", "{}").status == 201) }
        // 48 answers of 20 to 47 MB would be 1.4 GB; held are a page of documents each, in several forms.
        let grown = try guarded.server.residentBytes - before
        #expect(grown < 400 << 20, "\(grown >> 20) MB")
        #expect(try await guarded.isAlive())
    }

    @Test(
        "a client that goes in the middle of its request or its answer frees what it had: its connection, its file",
        .timeLimit(.minutes(1)))
    func disconnects() async throws {
        // Fewer connections than come and go here.
        let guarded = try await GuardedServer.start([
            "tokenpoold/max_requests": "4", "tokenpoold/max_connections": "16",
        ])
        #expect(try await guarded.request("PUT", "/d").status == 201)
        let file = String(repeating: "0123456789abcdef", count: 1 << 20)
        #expect(try await guarded.request("PUT", "/d/a/file", file).status == 201)
        let begun = String(repeating: "x", count: 300_000)
        for _ in 0..<20 {
            let upload = try RawSocket(port: guarded.port)
            try await upload.send(GuardedServer.head("PUT", "/d/b/file", "Content-Length: 1000000\r\n") + begun)
            let download = try RawSocket(port: guarded.port)
            try await download.send(GuardedServer.head("GET", "/d/a/file"))
            _ = try await download.receive(until: "\r\n\r\n")
        }
        while try await guarded.request("GET", "/d").status == 503 { await Task.yield() }
        while !uploadedFiles(of: guarded).isEmpty { await Task.yield() }
        #expect(try await guarded.request("GET", "/d/b").status == 404)
        #expect(try await guarded.request("PUT", "/d/c", "{}").status == 201)
    }
}
