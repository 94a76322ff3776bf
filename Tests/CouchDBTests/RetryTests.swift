import CouchDocument
import TestSupport
import Testing

@testable import CouchDB

@Suite("Repeating requests", .timeLimit(.minutes(1)))
struct RetryTests {
    private func server(_ peer: ScriptedPeer, attempts: Int = 4) throws -> Server {
        var configuration = try ServerConfiguration(url: peer.url)
        configuration.retry.pause = .milliseconds(1)
        configuration.retry.attempts = attempts
        return try Server(configuration)
    }

    /// A peer that treats the first request in one way and later ones in another.
    private func peer(
        _ lines: Notes<String>, first: @escaping @Sendable (PeerConnection) -> Void,
        then: @escaping @Sendable (PeerConnection) -> Void
    ) -> ScriptedPeer {
        ScriptedPeer { connection in
            while let request = connection.request() {
                lines.add(request.line)
                if lines.all.count == 1 { first(connection) } else { then(connection) }
            }
        }
    }

    private static let saved = #"{"ok":true,"id":"a","rev":"2-b"}"#

    @Test("reads again after 502, 503 and 504 — GET /db/id", arguments: [502, 503, 504, 429])
    func unavailable(status: Int) async throws {
        let lines = Notes<String>()
        let peer = peer(lines) {
            $0.answer(status, "{}")
        } then: {
            $0.answer(200, #"{"_id":"a"}"#)
        }
        #expect(try await server(peer).database("db").document("a").id == "a")
        #expect(lines.all.count == 2)
    }

    @Test("does not repeat what will fail again — GET /db/id", arguments: [400, 401, 403, 404, 409, 412, 500])
    func lasting(status: Int) async throws {
        let lines = Notes<String>()
        let peer = peer(lines) {
            $0.answer(status, "{}")
        } then: {
            $0.answer(200, "{}")
        }
        let database = try server(peer).database("db")
        await #expect { try await database.document("a") } throws: { ($0 as? CouchDBError)?.status == status }
        #expect(lines.all.count == 1)
    }

    @Test("reads again after a lost connection — POST /db/_design/d/_view/v")
    func lostRead() async throws {
        let lines = Notes<String>()
        let peer = peer(lines) {
            $0.reset()
        } then: {
            $0.answer(200, #"{"rows":[]}"#)
        }
        let query = ViewQuery(keys: ["a"])
        #expect(try await server(peer).database("db").view(ViewName(design: "d", view: "v"), query).rows.isEmpty)
        #expect(lines.all == Array(repeating: "POST /db/_design/d/_view/v HTTP/1.1", count: 2))
    }

    @Test("writes on a revision again after a lost answer, and does not hide a conflict — PUT /db/id")
    func lostWrite() async throws {
        let lines = Notes<String>()
        let peer = peer(lines) {
            $0.reset()
        } then: {
            $0.answer(409, #"{"error":"conflict","reason":"Document update conflict."}"#)
        }
        let database = try server(peer).database("db")
        var document = Document(id: "a")
        document.revision = Revision("1-a")
        let sent = document
        await #expect { try await database.save(sent) } throws: { CouchDBError.conflict ~= $0 }
        #expect(lines.all.count == 2)
    }

    @Test("does not repeat a write that may have landed — PUT /db/id, POST /db/_bulk_docs, POST /db")
    func unsafeWrites() async throws {
        let lines = Notes<String>()
        let peer = ScriptedPeer { connection in
            while let request = connection.request() {
                lines.add(request.line)
                connection.reset()
            }
        }
        let database = try server(peer).database("db")
        await #expect { try await database.save(Document(id: "new")) } throws: { CouchDBError.interrupted ~= $0 }
        await #expect { try await database.bulkSave([Document(id: "a")]) } throws: { CouchDBError.interrupted ~= $0 }
        await #expect { try await database.save(Document(fields: ["n": 1])) } throws: { CouchDBError.interrupted ~= $0 }
        #expect(lines.all.count == 3)
    }

    @Test("does not repeat such a write on a kept connection either, as libcurl would — POST /db/_bulk_docs")
    func keptConnection() async throws {
        let lines = Notes<String>()
        let peer = ScriptedPeer { connection in
            while let request = connection.request() {
                lines.add(request.line)
                if request.line.hasPrefix("POST") { return connection.reset() }
                connection.answer(200, #"{"version":"3"}"#)
            }
        }
        let server = try server(peer)
        _ = try await server.info()
        await #expect { try await server.database("db").bulkSave([Document(id: "a")]) } throws: {
            CouchDBError.interrupted ~= $0
        }
        #expect(lines.all == ["GET / HTTP/1.1", "POST /db/_bulk_docs HTTP/1.1"])
    }

    @Test("anything is sent again when it was refused with 429 — POST /db/_bulk_docs")
    func tooMany() async throws {
        let lines = Notes<String>()
        let peer = peer(lines) {
            $0.answer(429, "{}", headers: ["Retry-After: 0"])
        } then: {
            $0.answer(201, #"[{"ok":true,"id":"a","rev":"1-a"}]"#)
        }
        let rows = try await server(peer).database("db").bulkSave([Document(id: "a")])
        #expect(rows.first?.revision == Revision("1-a"))
        #expect(lines.all.count == 2)
    }

    @Test("ends after the number of attempts — GET /db/id")
    func attempts() async throws {
        let lines = Notes<String>()
        let peer = peer(lines) {
            $0.answer(503, "{}")
        } then: {
            $0.answer(503, "{}")
        }
        let database = try server(peer, attempts: 3).database("db")
        await #expect { try await database.document("a") } throws: { CouchDBError.serverError ~= $0 }
        #expect(lines.all.count == 3)
    }

    @Test("pauses grow, vary by half, respect Retry-After and stay within the time")
    func delays() {
        var policy = RetryPolicy()
        policy.attempts = 10
        func delay(_ attempt: Int, _ elapsed: Duration = .zero, after: Duration? = nil, jitter: Double = 1) -> Duration?
        {
            policy.delay(after: attempt, elapsed: elapsed, retryAfter: after, jitter: jitter)
        }
        #expect(delay(1) == .milliseconds(100))
        #expect(delay(1, jitter: 0) == .milliseconds(50))
        #expect(delay(3) == .milliseconds(400))
        #expect(delay(9) == .seconds(5))
        #expect(delay(1, after: .seconds(7)) == .seconds(7))
        #expect(delay(1, after: .seconds(31)) == nil)
        #expect(delay(1, .seconds(30)) == nil)
        #expect(delay(10) == nil)
    }
}
