import CouchDocument
import Synchronization
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

@testable import CouchDB

/// What happens on the wire, against a peer that misbehaves on purpose.
@Suite("Transport", .timeLimit(.minutes(1)))
struct TransportTests {
    private func server(_ peer: ScriptedPeer, _ change: (inout ServerConfiguration) -> Void = { _ in }) throws -> Server
    {
        var configuration = try ServerConfiguration(url: peer.url)
        configuration.retry.pause = .milliseconds(1)
        change(&configuration)
        return try Server(configuration)
    }

    @Test("keeps one connection for requests one after the other — GET /")
    func keepAlive() async throws {
        let connections = Notes<Int>()
        let peer = ScriptedPeer { connection in
            connections.add(connection.number)
            while connection.request() != nil { connection.answer(200, #"{"couchdb":"Welcome","version":"3.5.0"}"#) }
        }
        let server = try server(peer)
        for _ in 0..<20 { #expect(try await server.info().version == "3.5.0") }
        #expect(connections.all == [1])
    }

    @Test("runs work on its own thread when asked to, requests of child tasks too")
    func ownThread() async throws {
        let peer = ScriptedPeer { connection in
            while connection.request() != nil { connection.answer(200, #"{"couchdb":"Welcome","version":"3.5.0"}"#) }
        }
        let server = try server(peer)
        try await server.onTransportThread {
            let thread = UInt(pthread_self())
            for _ in 0..<20 {
                #expect(try await server.info().version == "3.5.0")
                #expect(UInt(pthread_self()) == thread)
            }
            let threads = try await withThrowingTaskGroup(of: UInt.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        _ = try await server.info()
                        return UInt(pthread_self())
                    }
                }
                return try await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(threads == [thread])
        }
    }

    @Test("lets work on its thread come to its end although the client is shut down meanwhile")
    func shutDownUnderWork() async throws {
        let asked = Notes<Bool>()
        let peer = ScriptedPeer { connection in
            _ = connection.request()
            asked.add(true)
            // No answer: the client gives up.
            _ = connection.request()
        }
        let server = try server(peer)
        let work = Task {
            await server.onTransportThread {
                await #expect(throws: CouchDBError.self) { try await server.info() }
                await Task.yield()
                await #expect(throws: CouchDBError.self) { try await server.info() }
                return "done"
            }
        }
        while asked.all.isEmpty { await Task.yield() }
        await server.shutdown()
        #expect(await work.value == "done")
    }

    @Test("sends a small body in one piece with its head, without Expect — PUT /db/id")
    func smallBody() async throws {
        let seen = Notes<PeerRequest>()
        let peer = ScriptedPeer { connection in
            while let request = connection.request() {
                seen.add(request)
                connection.answer(201, #"{"ok":true,"id":"a b","rev":"1-x"}"#)
            }
        }
        let document = Document(id: "a b+c/d%é\n#&?", fields: ["n": 1])
        #expect(try await server(peer).database("db/1").save(document) == Revision("1-x"))
        let request = try #require(seen.all.first)
        #expect(request.line == "PUT /db%2F1/a%20b%2Bc%2Fd%25%C3%A9%0A%23%26%3F HTTP/1.1")
        #expect(request.header("Expect") == nil)
        #expect(request.header("Content-Type") == "application/json")
        #expect(try JSON(parsing: request.body) == .object(document.fields))
    }

    @Test("answers 32 requests at once over as many connections — GET /db/id")
    func concurrent() async throws {
        let arrived = Mutex(0)
        let peer = ScriptedPeer { connection in
            while let request = connection.request() {
                // Nobody is answered before all have asked.
                arrived.withLock { $0 += 1 }
                while arrived.withLock({ $0 }) < 32 { sched_yield() }
                connection.answer(200, #"{"_id":"\#(request.line.split(separator: " ")[1].split(separator: "/")[1])"}"#)
            }
        }
        let database = try server(peer).database("db")
        let ids = try await withThrowingTaskGroup(of: String.self) { group in
            for number in 0..<32 { group.addTask { try await database.document("d\(number)").id } }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(ids.count == 32)
    }

    @Test("waits for a free connection beyond the greatest number — GET /db/id")
    func maximumConnections() async throws {
        let connections = Notes<Int>()
        let peer = ScriptedPeer { connection in
            connections.add(connection.number)
            while connection.request() != nil { connection.answer(200, "{}") }
        }
        let database = try server(peer) { $0.maxConnections = 2 }.database("db")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<50 { group.addTask { _ = try await database.document("d\(number)") } }
            try await group.waitForAll()
        }
        #expect(connections.all.count <= 2)
    }

    @Test("a cancelled task cuts its transfer and learns of it at once — GET /db/id")
    func cancellation() async throws {
        let (started, start) = AsyncStream.makeStream(of: Void.self)
        let (closed, close) = AsyncStream.makeStream(of: Void.self)
        let peer = ScriptedPeer { connection in
            _ = connection.request()
            start.yield()
            connection.waitForClose()
            close.yield()
        }
        let database = try server(peer).database("db")
        let task = Task { try await database.document("slow") }
        for await _ in started { break }
        task.cancel()
        await #expect { try await task.value } throws: { CouchDBError.cancelled ~= $0 }
        for await _ in closed { break }
    }

    @Test("a task cancelled before it asks sends nothing")
    func cancelledBefore() async throws {
        let peer = ScriptedPeer { connection in Issue.record("a connection came: \(connection.number)") }
        let database = try server(peer).database("db")
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            return try await database.document("never")
        }
        task.cancel()
        await #expect { try await task.value } throws: { CouchDBError.cancelled ~= $0 }
    }

    @Test("a server that falls silent is a time-out — GET /db/id")
    func stall() async throws {
        let peer = ScriptedPeer { connection in
            _ = connection.request()
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            connection.waitForClose()
        }
        let database = try server(peer) { $0.timeouts.stall = .seconds(1) }.database("db")
        await #expect { try await database.document("a") } throws: { CouchDBError.timedOut ~= $0 }
    }

    @Test("a connection that does not come to stand in time is unreachable — GET https://host/")
    func connectTimeout() async throws {
        let peer = ScriptedPeer { $0.waitForClose() }
        var configuration = try ServerConfiguration(url: "https" + peer.url.dropFirst("http".count))
        configuration.timeouts.connect = .milliseconds(100)
        configuration.retry = .never
        let server = try Server(configuration)
        await #expect { try await server.info() } throws: { CouchDBError.unreachable ~= $0 }
    }

    @Test("a request that takes too long as a whole is a time-out, however busy — GET /db/id")
    func whole() async throws {
        let peer = ScriptedPeer { connection in
            _ = connection.request()
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while connection.send("1\r\n \r\n") { usleep(5000) }
        }
        let database = try server(peer) { $0.timeouts.whole = .milliseconds(200) }.database("db")
        await #expect { try await database.document("a") } throws: { CouchDBError.timedOut ~= $0 }
    }

    @Test("nobody at the port is unreachable, and says what was attempted — GET /db/id")
    func refused() async throws {
        var configuration = try ServerConfiguration(url: "http://user:secret@127.0.0.1:1")
        configuration.retry = .never
        let database = try Server(configuration).database("db")
        let error = try #require(await #expect(throws: CouchDBError.self) { try await database.document("a") })
        #expect(error.code == .unreachable)
        #expect(error.attempted == "GET /db/a")
        #expect(error.description.hasPrefix("GET /db/a: ") && !error.description.contains("secret"))
    }

    @Test(
        "an answer that is cut short is interrupted, never taken for whole — GET /db/id",
        arguments: [
            "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"_id\":",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"_id\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
            "HTTP/1.1 200",
            "",
        ])
    func cutShort(answer: String) async throws {
        let peer = ScriptedPeer { connection in
            _ = connection.request()
            connection.send(answer)
            connection.end()
        }
        let database = try server(peer) { $0.retry = .never }.database("db")
        await #expect { try await database.document("a") } throws: { error in
            CouchDBError.interrupted ~= error || CouchDBError.badAnswer ~= error
        }
    }

    @Test(
        "what is not CouchDB's is a bad answer, never a crash — GET /db/id",
        arguments: [
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\"\u{1}\"\n", "SSH-2.0-OpenSSH_9.2\r\n",
        ])
    func notCouchDB(answer: String) async throws {
        let peer = ScriptedPeer { connection in
            _ = connection.request()
            connection.send(answer)
            connection.end()
        }
        let database = try server(peer) { $0.retry = .never }.database("db")
        await #expect { try await database.document("a") } throws: { CouchDBError.badAnswer ~= $0 }
    }

    @Test("takes chunks of odd sizes, with extensions, trailers and 100 Continue before — GET /db/id")
    func oddChunks() async throws {
        let peer = ScriptedPeer { connection in
            while connection.request() != nil {
                connection.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                connection.send("1;x=y\r\n{\r\n0000D\r\n\"_id\":\"a\\u00e\r\n3\r\n9\"}\r\n0\r\nX-Trailer: 1\r\n\r\n")
            }
        }
        let database = try server(peer).database("db")
        #expect(try await database.document("a").id == "aé")
        #expect(try await database.document("a").id == "aé")
    }

    @Test("speaks over a unix socket — GET /")
    func unixSocket() async throws {
        let path = "/tmp/couchdb-tests-\(UInt64.random(in: 0 ... .max)).sock"
        let peer = ScriptedPeer(unixSocket: path) { connection in
            while connection.request() != nil { connection.answer(200, #"{"version":"3.5.0"}"#) }
        }
        let server = try server(peer) { $0.unixSocket = path }
        #expect(try await server.info().version == "3.5.0")
    }

    @Test("asks a proxy for the whole URL — GET http://host/")
    func proxy() async throws {
        let lines = Notes<String>()
        let peer = ScriptedPeer { connection in
            while let request = connection.request() {
                lines.add(request.line)
                connection.answer(200, #"{"version":"3.5.0"}"#)
            }
        }
        var configuration = try ServerConfiguration(url: "http://couch.invalid:5984")
        configuration.proxy = peer.url
        #expect(try await Server(configuration).info().version == "3.5.0")
        #expect(lines.all == ["GET http://couch.invalid:5984/ HTTP/1.1"])
    }

    @Test("shutting down ends what is under way, and later requests fail")
    func shutdown() async throws {
        let (started, start) = AsyncStream.makeStream(of: Void.self)
        let peer = ScriptedPeer { connection in
            _ = connection.request()
            start.yield()
            connection.waitForClose()
        }
        let server = try server(peer)
        let task = Task { try await server.info() }
        for await _ in started { break }
        await server.shutdown()
        await #expect { try await task.value } throws: { CouchDBError.cancelled ~= $0 }
        await #expect { try await server.info() } throws: { CouchDBError.cancelled ~= $0 }
        await server.shutdown()
    }
}
