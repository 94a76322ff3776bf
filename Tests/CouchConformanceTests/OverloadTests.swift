import CouchDocument
import Foundation
import TestSupport
import Testing

/// More than the server can do: it says so at once, keeps what it has, and goes on when there is room again.
@Suite("Overload")
struct OverloadTests {
    private func isOverload(_ answer: RawAnswer) -> Bool { answer.status == 503 && answer["Retry-After"] == "1" }

    /// Sends a request until the answer is the one that is waited for.
    private func eventually(
        _ guarded: GuardedServer, _ path: String, is wanted: (RawAnswer) -> Bool
    ) async throws {
        while try await !wanted(guarded.request("GET", path)) { await Task.yield() }
    }

    @Test("too many requests at once are answered 503 with Retry-After, until there is room", .timeLimit(.minutes(1)))
    func requests() async throws {
        let guarded = try await GuardedServer.start()
        #expect(try await guarded.request("PUT", "/d").status == 201)
        let design = #"{"shows":{"long":"function () { while (true); }"}}"#
        #expect(try await guarded.request("PUT", "/d/_design/x", design).status == 201)
        try await guarded.set(["tokenpoold/max_requests": "1"])
        // Works until the time limit of functions, some seconds.
        async let long = guarded.request("GET", "/d/_design/x/_show/long")
        try await eventually(guarded, "/", is: isOverload)
        // Said while the server is at work, not when it has come to it.
        for _ in 0..<5 { #expect(isOverload(try await guarded.request("GET", "/d/_all_docs"))) }
        #expect(try await guarded.request("GET", "/_up").status == 200)
        #expect(try await long.status == 500)
        try await eventually(guarded, "/") { $0.status == 200 }
    }

    @Test("connections beyond the limit are answered 503, until others have gone", .timeLimit(.minutes(1)))
    func connections() async throws {
        let guarded = try await GuardedServer.start(["tokenpoold/max_connections": "8"])
        // The server has some connections with itself.
        var kept: [RawSocket] = []
        var answer = ""
        while kept.count < 8 {
            let socket = try RawSocket(port: guarded.port)
            try await socket.send(GuardedServer.head("GET", "/_up"))
            answer = try await socket.receive(until: "}\n")
            guard answer.hasPrefix("HTTP/1.1 200") else { break }
            kept.append(socket)
        }
        #expect(kept.count > 2)
        #expect(isOverload(try await guarded.request("GET", "/_up")))
        kept.removeAll()
        try await eventually(guarded, "/_up") { $0.status == 200 }
    }

    @Test(
        "feeds beyond the limit are answered 503; a client that goes gives its place back at once",
        .timeLimit(.minutes(1)))
    func feeds() async throws {
        let guarded = try await GuardedServer.start(["tokenpoold/max_feeds": "8"])
        let path = "/_users/_changes?feed=continuous&heartbeat=3600000&since=now"
        // The server reads some feeds of its own.
        var feeds: [RawSocket] = []
        while feeds.count < 8 {
            let feed = try RawSocket(port: guarded.port)
            try await feed.send(GuardedServer.head("GET", path))
            guard try await feed.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200") else { break }
            feeds.append(feed)
        }
        #expect(feeds.count > 2)
        #expect(isOverload(try await guarded.request("GET", path)))
        // They close their connections; nothing is written to them for an hour that would tell the server so.
        feeds.removeAll()
        try await eventually(guarded, "/_users/_changes?feed=longpoll&timeout=0") { $0.status == 200 }
    }

    @Test("a body too large to be in memory is refused, whether its length is told or not")
    func largeBodies() async throws {
        let guarded = try await GuardedServer.start(["tokenpoold/max_body_memory": "400000"])
        #expect(try await guarded.request("PUT", "/d").status == 201)
        let large = "{\"docs\":[{\"text\":\"" + String(repeating: "x", count: 200_000) + "\"}]}"
        #expect(try await guarded.request("POST", "/d/_bulk_docs", large).status == 413)
        let socket = try RawSocket(port: guarded.port)
        let more = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
        try await socket.send(GuardedServer.head("POST", "/d/_bulk_docs", more))
        let chunk = "4000\r\n" + String(repeating: " ", count: 0x4000) + "\r\n"
        for _ in 0..<20 { try await socket.send(chunk) }
        #expect(try await socket.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 413"))
        // An attachment goes to disk, whatever its size.
        #expect(try await guarded.request("PUT", "/d/a/file", large).status == 201)
        try await guarded.set(["chttpd/max_http_request_size": "100000"])
        #expect(try await guarded.request("PUT", "/d/b/file", large).status == 413)
        try await guarded.set(["chttpd/max_http_request_size": "1000000", "couchdb/max_attachment_size": "100000"])
        #expect(try await guarded.request("PUT", "/d/c/file", large).status == 413)
        #expect(try await guarded.request("PUT", "/d/d", "{\"still\":\"works\"}").status == 201)
    }

    @Test("two thousand feeds wait, and each tells the change", .timeLimit(.minutes(2)))
    func manyFeeds() async throws {
        // On a machine that allows few descriptors as many as there can be.
        let count = min(2000, Int(RawSocket.raiseDescriptorLimit(to: 4096)) - 200)
        let guarded = try await GuardedServer.start()
        #expect(try await guarded.request("PUT", "/d").status == 201)
        var feeds: [RawSocket] = []
        for _ in 0..<count { feeds.append(try RawSocket(port: guarded.port)) }
        let request = GuardedServer.head("GET", "/d/_changes?feed=continuous&heartbeat=3600000")
        let before = try guarded.server.residentBytes
        for feed in feeds { try await feed.send(request) }
        for feed in feeds { #expect(try await feed.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200")) }
        let each = (try guarded.server.residentBytes - before) / count
        #expect(each < 100_000, "\(each) bytes a feed")
        #expect(try await guarded.request("PUT", "/d/news", "{}").status == 201)
        var told = 0
        for feed in feeds where try await feed.receive(until: "\"id\":\"news\"").contains("\"id\":\"news\"") {
            told += 1
        }
        #expect(told == count)
        #expect(try await guarded.isAlive())
    }
}
