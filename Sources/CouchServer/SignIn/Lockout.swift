import Synchronization

/// Counts wrong passwords: after some for a name from an address, that pair is refused for a while, right passwords
/// included (CouchDB 3.4's `chttpd_auth_lockout`).
package final class Lockout: Sendable {
    package struct Rule: Sendable {
        /// Whether anybody is refused.
        var isEnforced: Bool
        /// Wrong passwords until then.
        var threshold: Int
        /// Seconds for which they are remembered.
        var lifetime: Int

        package init(isEnforced: Bool = true, threshold: Int = 5, lifetime: Int = 300) {
            self.isEnforced = isEnforced
            self.threshold = threshold
            self.lifetime = lifetime
        }
    }

    private static let capacity = 10_000

    package init() {}

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

    func isLocked(_ name: String, peer: String, now: Int, _ rule: Rule) -> Bool {
        records.withLock { Self.isLocked($0[Key(name: name, peer: peer)], now: now, rule) }
    }

    private static func isLocked(_ record: Record?, now: Int, _ rule: Rule) -> Bool {
        guard rule.isEnforced, let record else { return false }
        return record.failures >= rule.threshold && now - record.last < rule.lifetime
    }

    func failed(_ name: String, peer: String, now: Int, _ rule: Rule) {
        records.withLock { Self.count(Key(name: name, peer: peer), now: now, rule, in: &$0) }
    }

    /// Counts a failure unless the pair is locked, in one step: of many at once no more get through than may.
    ///
    /// - Returns: Whether it was counted.
    package func admit(_ name: String, peer: String, now: Int, _ rule: Rule) -> Bool {
        records.withLock { records in
            let key = Key(name: name, peer: peer)
            if Self.isLocked(records[key], now: now, rule) { return false }
            Self.count(key, now: now, rule, in: &records)
            return true
        }
    }

    private static func count(_ key: Key, now: Int, _ rule: Rule, in records: inout [Key: Record]) {
        if records.count >= capacity && records[key] == nil { makeRoom(in: &records) }
        var record = records[key] ?? Record(failures: 0, last: now)
        if now - record.last >= rule.lifetime { record.failures = 0 }
        record.failures += 1
        record.last = now
        records[key] = record
    }

    /// Takes back a failure that was counted before the outcome was known.
    package func passed(_ name: String, peer: String) {
        records.withLock { records in
            let key = Key(name: name, peer: peer)
            guard var record = records[key] else { return }
            record.failures -= 1
            records[key] = record.failures > 0 ? record : nil
        }
    }

    /// Drops the older half: who tries many names loses the memory of the first, not of those under attack now.
    private static func makeRoom(in records: inout [Key: Record]) {
        let times = records.values.map(\.last).sorted()
        let middle = times[times.count / 2]
        let kept = records.filter { $0.value.last > middle }
        records = kept.count < capacity ? kept : [:]
    }

    static var refusal: Refusal {
        .forbidden("Account is temporarily locked due to multiple authentication failures")
    }
}
