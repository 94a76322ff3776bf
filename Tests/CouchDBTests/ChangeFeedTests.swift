import CouchDocument
import TestSupport
import Testing

@testable import CouchDB

@Suite("Following changes", .timeLimit(.minutes(1)))
struct ChangeFeedTests {
    private func database(_ peer: ScriptedPeer) throws -> Database {
        var configuration = try ServerConfiguration(url: peer.url)
        configuration.retry.pause = .milliseconds(1)
        return try Server(configuration).database("db")
    }

    private static let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    private static func line(_ number: Int) -> String {
        "{\"seq\":\"\(number)-x\",\"id\":\"d\(number)\",\"changes\":[{\"rev\":\"1-a\"}]}\n"
    }

    @Test("goes on from the last sequence when the connection is lost or ended — GET /db/_changes?feed=continuous")
    func reconnect() async throws {
        let lines = Notes<String>()
        let peer = ScriptedPeer { connection in
            guard let request = connection.request() else { return }
            lines.add(request.line)
            switch lines.all.count {
            case 1:
                connection.send(Self.head)
                connection.chunk("\n" + Self.line(1) + Self.line(2))
                connection.reset()
            case 2: connection.answer(503, "{}")
            case 3:
                connection.send(Self.head)
                connection.chunk("{\"last_seq\":\"9-x\",\"pending\":0}\n")
                connection.send("0\r\n\r\n")
            default:
                connection.send(Self.head)
                connection.chunk("\n\n")
                connection.chunk(String(Self.line(10).prefix(9)))
                connection.chunk(String(Self.line(10).dropFirst(9)))
                connection.waitForClose()
            }
        }
        var query = ChangesQuery(since: "0")
        query.includeDocuments = true
        var seen: [String] = []
        for try await change in try database(peer).changeFeed(query) {
            seen.append(change.id)
            if change.id == "d10" { break }
        }
        #expect(seen == ["d1", "d2", "d10"])
        let since = lines.all.compactMap { $0.split(separator: "since=").last?.prefix { $0 != "&" }.description }
        #expect(since.first == "0" && since.last == "9-x" && since.dropFirst().first == "2-x")
        #expect(
            lines.all.first == "GET /db/_changes?feed=continuous&heartbeat=30000&since=0&include_docs=true HTTP/1.1")
    }

    @Test("ends after the limit, counted over all connections — GET /db/_changes?limit=…")
    func limit() async throws {
        let lines = Notes<String>()
        let peer = ScriptedPeer { connection in
            guard let request = connection.request() else { return }
            lines.add(request.line)
            connection.send(Self.head)
            let number = lines.all.count * 2
            connection.chunk(Self.line(number) + Self.line(number + 1))
            connection.reset()
        }
        var query = ChangesQuery()
        query.limit = 3
        var seen: [String] = []
        for try await change in try database(peer).changeFeed(query) { seen.append(change.id) }
        #expect(seen == ["d2", "d3", "d4"])
        #expect(lines.all.last?.contains("limit=1") == true)
    }

    @Test("throws what will not pass by itself — 404 for a database that is gone")
    func gone() async throws {
        let peer = ScriptedPeer { connection in
            while connection.request() != nil {
                connection.answer(404, #"{"error":"not_found","reason":"Database does not exist."}"#)
            }
        }
        let feed = try database(peer).changeFeed()
        await #expect { for try await _ in feed {} } throws: { CouchDBError.notFound ~= $0 }
    }

    @Test("a cancelled task ends the feed and its connection")
    func cancelled() async throws {
        let (started, start) = AsyncStream.makeStream(of: Void.self)
        let (closed, close) = AsyncStream.makeStream(of: Void.self)
        let peer = ScriptedPeer { connection in
            _ = connection.request()
            connection.send(Self.head)
            start.yield()
            connection.waitForClose()
            close.yield()
        }
        let feed = try database(peer).changeFeed()
        let task = Task { for try await _ in feed {} }
        for await _ in started { break }
        task.cancel()
        await #expect { try await task.value } throws: { CouchDBError.cancelled ~= $0 }
        for await _ in closed { break }
    }

    @Test("a server without heartbeats is taken for gone — GET /db/_changes?heartbeat=…")
    func silent() async throws {
        let lines = Notes<String>()
        let peer = ScriptedPeer { connection in
            guard let request = connection.request() else { return }
            lines.add(request.line)
            connection.send(Self.head)
            if lines.all.count > 1 { connection.chunk(Self.line(1)) }
            connection.waitForClose()
        }
        var query = ChangesQuery()
        query.heartbeat = .milliseconds(1)
        for try await change in try database(peer).changeFeed(query) {
            #expect(change.id == "d1")
            break
        }
        #expect(lines.all.count == 2)
    }
}
