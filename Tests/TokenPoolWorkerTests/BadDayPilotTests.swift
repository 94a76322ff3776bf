import CouchDB
import DesignDocuments
import Foundation
import Synchronization
import TestSupport
import Testing
import TokenPool

@testable import TokenPoolWorker

@Suite("A pilot on a cluster's bad day", .timeLimit(.minutes(1)))
struct BadDayPilotTests {
    @Test("when patience with a server is at its end it is so for all results that waited together")
    func silence() async throws {
        let server = try await TestServer.shared()
        try await withDatabase(on: server) { database in
            for design in DesignDocuments.all { try await database.push(design) }
            let faulty = FaultyServer(server)
            let client = try Server(url: faulty.url)
            let pool = Pool(database: client.database(database.name))
            _ = try await database.bulkSave((0..<100).map { Token(id: "t\($0)").document })
            let claims = try await pool.claim(100, as: WorkerIdentity(name: "w", hostname: "h"))
            #expect(claims.count == 100)
            let before = faulty.requests("_bulk_docs")
            for _ in 0..<300 { faulty.spoil("_bulk_docs", .refused(503)) }
            let writer = ResultWriter(pool: pool, patience: Patience(.zero, grace: .zero, pool.clock))
            let result = TokenResult(exitCode: 0, started: Timestamp(seconds: 1), ended: Timestamp(seconds: 2))
            await withTaskGroup(of: Void.self) { group in
                for claim in claims {
                    group.addTask {
                        await #expect(throws: CouchDBError.self) { try await writer.write(result, of: claim) }
                    }
                }
            }
            // A request for each batch, and none for each result.
            #expect(faulty.requests("_bulk_docs") - before < 100)
            await client.shutdown()
        }
    }

    @Test("results that the server can not take just now are written later, and keep none of the others waiting")
    func results() async throws {
        let server = try await TestServer.shared()
        try await withDatabase(on: server) { database in
            for design in DesignDocuments.all { try await database.push(design) }
            let folder = FileManager.default.temporaryDirectory.path + "/tokenpool-pilot-\(UUID().uuidString)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let faulty = FaultyServer(server)
            let client = try Server(url: faulty.url)
            let fixture = PilotFixture(pool: Pool(database: client.database(database.name)), folder: folder)
            for id in ["a", "b", "c"] { try await fixture.add(id, "true") }
            // The claim goes well; then the row of "b" fails in as many requests as it takes for the others to be there.
            let refusals = Array(repeating: FaultyServer.Fault.rows(["b": "timeout"]), count: 4)
            faulty.spoil("_bulk_docs", .none)
            for refusal in refusals { faulty.spoil("_bulk_docs", refusal) }
            let order = Mutex<[String]>([])
            try await fixture.pilot(slots: 3) { news in
                if case .ended(let id, _, _, _, _) = news { order.withLock { $0.append(id) } }
            }.run()
            #expect(Set(order.withLock { $0 }) == ["a", "b", "c"])
            #expect(order.withLock { $0.last } == "b")
            for id in ["a", "b", "c"] {
                let token = try await fixture.pool.token(id)
                #expect(token.state == .done)
                #expect(token.pool.history.count == 1)
            }
            #expect(faulty.requests("_bulk_docs") > refusals.count)
            await client.shutdown()
        }
    }
}
