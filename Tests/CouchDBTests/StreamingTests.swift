import CouchDocument
import Synchronization
import TestSupport
import Testing

@testable import CouchDB

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Streaming", .timeLimit(.minutes(2)))
struct StreamingTests {
    private static let megabyte = 1 << 20

    private func database(_ peer: ScriptedPeer) throws -> Database {
        var configuration = try ServerConfiguration(url: peer.url)
        configuration.retry.pause = .milliseconds(1)
        return try Server(configuration).database("db")
    }

    private static func residentBytes() -> Int {
        guard let text = try? readFile("/proc/self/statm") else { return 0 }
        let pages = String(decoding: text, as: UTF8.self).split(separator: " ").dropFirst().first.flatMap { Int($0) }
        return (pages ?? 0) * 4096
    }

    @Test("a slow reader holds the server back, and 100 MB pass without memory growing — GET /db/id/name")
    func downloadBackPressure() async throws {
        let size = 100 * Self.megabyte
        let sent = Mutex(0)
        let (stuck, isStuck) = AsyncStream.makeStream(of: Int.self)
        let peer = ScriptedPeer { connection in
            _ = connection.request()
            connection.send("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: \(size)\r\n\r\n")
            let piece = [UInt8](repeating: 7, count: 65536)
            connection.whenBlocked { isStuck.yield(sent.withLock { $0 }) }
            while sent.withLock({ $0 }) < size, connection.send(piece) { sent.withLock { $0 += piece.count } }
            isStuck.finish()
            connection.waitForClose()
        }
        let attachment = try await database(peer).attachment("x", of: "a")
        #expect(attachment.length == size && attachment.contentType == "a/b")
        // Until the first read the server can fill only our buffer and those of the two sockets.
        for await count in stuck {
            #expect(count < 20 * Self.megabyte)
            break
        }
        let before = Self.residentBytes()
        var most = before
        var length = 0
        for try await chunk in attachment.body {
            #expect(!chunk.isEmpty && chunk.count <= 2 * Exchange.highWater)
            length += chunk.count
            most = max(most, Self.residentBytes())
        }
        #expect(length == size)
        #expect(most - before < 40 * Self.megabyte)
    }

    @Test("a slow server holds the source back — PUT /db/id/name, chunked")
    func uploadBackPressure() async throws {
        let produced = Mutex(0)
        let total = 64 * Self.megabyte
        let peer = ScriptedPeer { connection in
            let request = connection.requestHead()
            #expect(request?.header("Transfer-Encoding") == "chunked")
            // Reads slowly: what the source is ahead by is what the client and the sockets hold.
            var received = 0
            var furthest = 0
            while received < total {
                let count = connection.skip(256 * 1024)
                if count == 0 { break }
                received += count
                furthest = max(furthest, produced.withLock { $0 } - received)
                if received < Self.megabyte { usleep(2000) }
            }
            #expect(furthest < 20 * Self.megabyte)
            connection.answer(201, #"{"ok":true,"id":"a","rev":"1-a"}"#)
            connection.waitForClose()
        }
        let chunks = AsyncThrowingStream<[UInt8], any Error>(unfolding: {
            let isDone = produced.withLock { count in
                if count == total { return true }
                count += 65536
                return false
            }
            return isDone ? nil : [UInt8](repeating: 1, count: 65536)
        })
        let revision = try await database(peer).putAttachment(
            "x", to: "a", revision: nil, contentType: "a/b", body: .stream(length: nil, chunks))
        #expect(revision == Revision("1-a"))
    }

    @Test("a stream of known length is announced by it — PUT /db/id/name")
    func uploadLength() async throws {
        let seen = Notes<PeerRequest>()
        let peer = ScriptedPeer { connection in
            while let request = connection.request() {
                seen.add(request)
                connection.answer(201, #"{"ok":true,"id":"a","rev":"2-a"}"#)
            }
        }
        let chunks = AsyncThrowingStream<[UInt8], any Error> { stream in
            for text in ["ab", "", "cde"] { stream.yield(Array(text.utf8)) }
            stream.finish()
        }
        _ = try await database(peer).putAttachment(
            "n/1", to: "a", revision: Revision("1-a"), contentType: "text/plain", body: .stream(length: 5, chunks))
        let request = try #require(seen.all.first)
        #expect(request.line == "PUT /db/a/n%2F1?rev=1-a HTTP/1.1")
        #expect(request.header("Content-Length") == "5" && request.body == Array("abcde".utf8))
    }

    @Test("a source that fails ends the request with its reason — PUT /db/id/name")
    func failingSource() async throws {
        struct Failure: Error {}
        let peer = ScriptedPeer { connection in
            _ = connection.requestHead()
            connection.waitForClose()
        }
        let chunks = AsyncThrowingStream<[UInt8], any Error> { stream in
            stream.yield([1])
            stream.finish(throwing: Failure())
        }
        let database = try database(peer)
        let error = try #require(
            await #expect(throws: CouchDBError.self) {
                try await database.putAttachment(
                    "x", to: "a", revision: nil, contentType: "a/b", body: .stream(length: nil, chunks))
            })
        #expect(error.description.contains("Failure"))
    }

    @Test("a file is sent with its length, and a missing one is one clear line — PUT /db/id/name")
    func file() async throws {
        let seen = Notes<PeerRequest>()
        let peer = ScriptedPeer { connection in
            while let request = connection.request() {
                seen.add(request)
                connection.answer(201, #"{"ok":true,"id":"a","rev":"1-a"}"#)
            }
        }
        let database = try database(peer)
        let path = "/tmp/couchdb-tests-\(UInt64.random(in: 0 ... .max))"
        var file = try TemporaryFile(for: path)
        let content = (0..<300_000).map { UInt8(truncatingIfNeeded: $0) }
        try file.write(content)
        try file.commit()
        defer { unlink(path) }
        _ = try await database.putAttachment("x", to: "a", revision: nil, contentType: "a/b", body: .file(path: path))
        #expect(seen.all.first?.body == content)
        let error = await #expect(throws: FileError.self) {
            try await database.putAttachment(
                "x", to: "a", revision: nil, contentType: "a/b", body: .file(path: path + ".no"))
        }
        #expect(error?.description == "could not read \"\(path).no\": No such file or directory")
    }

    @Test("a download takes its name only when it is whole and has its MD5 — GET /db/id/name")
    func download() async throws {
        let peer = ScriptedPeer { connection in
            while let request = connection.request() {
                let tag = request.line.contains("wrong") ? "AAAAAAAAAAAAAAAAAAAAAA==" : "XrY7u+Ae7tCTyyK7j1rNww=="
                let length = request.line.contains("short") ? 12 : 11
                connection.send(
                    "HTTP/1.1 200 OK\r\nAccept-Ranges: bytes\r\nETag: \"\(tag)\"\r\nContent-Length: \(length)\r\n\r\n"
                        + "hello world")
                if length != 11 { return connection.end() }
            }
        }
        let database = try database(peer)
        let path = "/tmp/couchdb-tests-\(UInt64.random(in: 0 ... .max))"
        defer { unlink(path) }
        for (name, code) in [("short", CouchDBError.interrupted), ("wrong", .badAnswer)] {
            await #expect { try await database.downloadAttachment(name, of: "a", to: path) } throws: { code ~= $0 }
            #expect(access(path, F_OK) != 0)
        }
        try await database.downloadAttachment("right", of: "a", to: path)
        #expect(try readFile(path) == Array("hello world".utf8))
    }

    @Test("rows come one by one while the server still answers — GET /db/_design/d/_view/v")
    func rows() async throws {
        let (asked, ask) = AsyncStream.makeStream(of: Void.self)
        let mayEnd = Mutex(false)
        let peer = ScriptedPeer { connection in
            _ = connection.request()
            let text = "{\"total_rows\":2,\"offset\":0,\"rows\":[\n{\"id\":\"a\",\"key\":1,\"value\":2}"
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            connection.chunk(text)
            ask.yield()
            while !mayEnd.withLock({ $0 }) { usleep(1000) }
            connection.chunk(",\n{\"id\":\"b\",\"key\":2,\"value\":2}\n]}\n")
            connection.send("0\r\n\r\n")
            connection.waitForClose()
        }
        var rows = try database(peer).rows(ViewName(design: "d", view: "v")).makeAsyncIterator()
        #expect(try await rows.next()?.id == "a")
        for await _ in asked { break }
        mayEnd.withLock { $0 = true }
        #expect(try await rows.next()?.id == "b")
        #expect(try await rows.next() == nil)
    }

    @Test("rows that are cut short are interrupted, not the end — GET /db/_all_docs")
    func cutRows() async throws {
        let peer = ScriptedPeer { connection in
            _ = connection.request()
            let text = "{\"total_rows\":2,\"offset\":0,\"rows\":[\n{\"id\":\"a\",\"key\":\"a\",\"value\":2}\n"
            connection.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + text)
            connection.end()
        }
        let database = try database(peer)
        var seen: [String?] = []
        await #expect {
            for try await row in database.allDocumentRows() { seen.append(row.id) }
        } throws: { CouchDBError.interrupted ~= $0 }
        #expect(seen == ["a"])
    }

    @Test("rows that are dropped give their connection up — GET /db/_all_docs")
    func droppedRows() async throws {
        let (closed, close) = AsyncStream.makeStream(of: Void.self)
        let peer = ScriptedPeer { connection in
            _ = connection.request()
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            connection.chunk("{\"rows\":[{\"id\":\"a\"}")
            while connection.chunk(",{\"id\":\"a\"}") {}
            close.yield()
        }
        let database = try database(peer)
        for try await row in database.allDocumentRows() {
            #expect(row.id == "a")
            break
        }
        for await _ in closed { break }
    }
}

extension PeerConnection {
    /// Sends one chunk of a chunked body.
    @discardableResult
    func chunk(_ text: String) -> Bool { send("\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n") }
}
