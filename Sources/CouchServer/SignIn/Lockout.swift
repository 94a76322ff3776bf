import Synchronization

/// Counts wrong passwords: after five for a name from an address, that pair is refused for a while, right passwords
/// included (CouchDB 3.4's `chttpd_auth_lockout` in mode `enforce`).
final class Lockout: Sendable {
    static let threshold = 5
    /// Seconds for which failures are remembered.
    static let lifetime = 300
    private static let capacity = 10_000

    private struct Key: Hashable {
        let name: String
        let peer: String
    }
    private struct Record {
        var failures: Int
        var last: Int
    }
    /// Protects the counts of all pairs.
    private let records = Mutex<[Key: Record]>([:])

    func isLocked(_ name: String, peer: String, now: Int) -> Bool {
        records.withLock {
            guard let record = $0[Key(name: name, peer: peer)] else { return false }
            return record.failures >= Self.threshold && now - record.last < Self.lifetime
        }
    }

    func failed(_ name: String, peer: String, now: Int) {
        records.withLock { records in
            if records.count >= Self.capacity { records = records.filter { now - $0.value.last < Self.lifetime } }
            if records.count >= Self.capacity { records.removeAll() }
            let key = Key(name: name, peer: peer)
            var record = records[key] ?? Record(failures: 0, last: now)
            if now - record.last >= Self.lifetime { record.failures = 0 }
            record.failures += 1
            record.last = now
            records[key] = record
        }
    }

    func succeeded(_ name: String, peer: String) {
        records.withLock { _ = $0.removeValue(forKey: Key(name: name, peer: peer)) }
    }

    static var refusal: Refusal {
        .forbidden("Account is temporarily locked due to multiple authentication failures")
    }
}
