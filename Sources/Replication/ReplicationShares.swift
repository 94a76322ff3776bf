/// Whose replications run before those of others: CouchDB 3.5's fair share (its `couch_replicator_share`, after Kay and
/// Lauder's scheduler).
///
/// Owners are the databases whose documents ask for replications, and the accounts that ask by `_replicate`. What an owner's
/// replications run is charged to it; each of them is moved back the further the more was charged of late, the more
/// replications the owner has and the fewer shares. All drift to the front again, so that none starves.
package struct ReplicationShares: Sendable {
    /// Settings of `replicator` and `replicator.shares`.
    package struct Rules: Sendable {
        /// Who was given other than ``usual``.
        package var shares: [String: Int]
        /// What is left of an owner's usage after an interval.
        package var usageLeft: Double
        /// What is left of how far a replication stands back after an interval.
        package var priorityLeft: Double
        static let usual = 100

        package init(shares: [String: Int] = [:], usageLeft: Double = 0.5, priorityLeft: Double = 0.98) {
            self.shares = shares
            self.usageLeft = usageLeft
            self.priorityLeft = priorityLeft
        }
    }

    /// How far each replication stands back; 0 when it is not here. Whole numbers, as CouchDB's are; so that no sum of
    /// them overflows they are of a type that knows no end.
    private var priorities: [String: Double] = [:]
    /// Microseconds of each owner, the older the less they count.
    private var usage: [String: Double] = [:]
    /// Microseconds in this interval.
    private var charges: [String: Double] = [:]
    /// Replications of each owner.
    private var counts: [String: Int] = [:]

    /// How far a replication stands back: the lowest runs first.
    func priority(of name: String) -> Double { priorities[name] ?? 0 }

    /// A new one stands as far back as if it had run in this interval: taking one out and in again gains nothing.
    mutating func add(_ name: String, of owner: String, _ rules: Rules) {
        counts[owner, default: 0] += 1
        moveBack(name, of: owner, rules)
    }

    mutating func remove(_ name: String, of owner: String) {
        priorities[name] = nil
        let left = (counts[owner] ?? 0) - 1
        counts[owner] = left > 0 ? left : nil
    }

    /// Charges what a run took in this interval.
    mutating func charge(_ owner: String, _ time: Duration) {
        charges[owner, default: 0] += max(0, time / .microseconds(1)).rounded(.down)
    }

    /// Ends an interval in which these ran and were charged.
    mutating func endInterval(running: [(name: String, owner: String)], _ rules: Rules) {
        usage = Self.decayed(usage, rules.usageLeft).merging(charges, uniquingKeysWith: +)
        charges = [:]
        priorities = Self.decayed(priorities, rules.priorityLeft)
        for (name, owner) in running { moveBack(name, of: owner, rules) }
    }

    private mutating func moveBack(_ name: String, of owner: String, _ rules: Rules) {
        let shares = Double(min(max(rules.shares[owner] ?? Rules.usual, 1), 1000))
        let step = ((usage[owner] ?? 0) * Double(counts[owner] ?? 0) / (shares * shares)).rounded(.down)
        if step > 0 { priorities[name, default: 0] += step }
    }

    private static func decayed(_ values: [String: Double], _ left: Double) -> [String: Double] {
        values.mapValues { ($0 * left).rounded(.down) }.filter { $0.value > 0 }
    }
}
