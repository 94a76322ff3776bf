import CouchDB
import CouchDocument
import DesignDocuments
import Synchronization
import TestSupport
import TokenPool

/// A clock that goes when it is told to.
final class ManualClock: PoolClock {
    private let time: Mutex<Timestamp>

    init(_ start: Timestamp = Timestamp(seconds: 1_700_000_000)) { time = Mutex(start) }

    func now() -> Timestamp { time.withLock { $0 } }
    func advance(_ duration: Duration) { time.withLock { $0 = $0 + duration } }
}

/// Runs a test with a pool in a database of its own: the views are there, no tokens.
func withPool(_ body: (Pool, ManualClock) async throws -> Void) async throws {
    try await withDatabase { database in
        for design in DesignDocuments.all { try await database.push(design) }
        let clock = ManualClock()
        try await body(Pool(database: database, clock: clock), clock)
    }
}

extension Pool {
    /// Adds todo tokens of these ids.
    func add(_ ids: [String], _ change: (inout Token) -> Void = { _ in }) async throws {
        let tokens = ids.map { id in
            var token = Token(id: id)
            change(&token)
            return token.document
        }
        for outcome in try await database.bulkSave(tokens) { if case .failed(_, let error) = outcome { throw error } }
    }
}

/// A worker of that name.
func worker(_ name: String) -> WorkerIdentity { WorkerIdentity(name: name, hostname: "host-\(name)") }
