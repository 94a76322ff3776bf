/// Which replications run and when failed ones run again, as CouchDB's settings of `replicator` and `replicator.shares` say.
package struct ReplicatorLimits: Sendable {
    typealias Number = ServerLimits.Number

    private static let jobsKey = Number(section: section, key: "max_jobs", fallback: 500, least: 0)
    private static let churnKey = Number(section: section, key: "max_churn", fallback: 20)
    private static let intervalKey = Number(section: section, key: "interval", fallback: 60_000)
    private static let historyKey = Number(section: section, key: "max_history", fallback: 20)
    private static let healthKey = Number(section: section, key: "health_threshold", fallback: 120)
    // CouchDB's are fixed, at these values.
    private static let firstPauseKey = Number(section: ServerLimits.own, key: "replication_pause", fallback: 30_000)
    private static let longestPauseKey = Number(
        section: ServerLimits.own, key: "longest_replication_pause", fallback: 30_720_000)

    private static let section = "replicator"
    private static let sharesSection = "replicator.shares"
    private static let fractions = ["usage_coeff": 0.5, "priority_coeff": 0.98]

    static let numbers = [
        jobsKey, churnKey, intervalKey, historyKey, healthKey, firstPauseKey, longestPauseKey,
    ]

    package let jobs: Int
    /// How many make room for others in one interval.
    package let churn: Int
    /// Milliseconds.
    package let interval: Int
    /// What is remembered of one replication.
    package let history: Int
    /// Seconds after which a run counts as one that was well.
    package let health: Int
    /// Milliseconds after the first error and after many.
    package let firstPause: Int
    package let longestPause: Int
    /// Shares by database or account, where they are others than the usual.
    package let shares: [String: Int]
    /// What is left of usage and of priorities after an interval.
    package let usageLeft: Double
    package let priorityLeft: Double

    init(_ sections: Settings.Sections) {
        jobs = Self.jobsKey.value(in: sections)
        churn = Self.churnKey.value(in: sections)
        interval = Self.intervalKey.value(in: sections)
        history = Self.historyKey.value(in: sections)
        health = Self.healthKey.value(in: sections)
        firstPause = Self.firstPauseKey.value(in: sections)
        longestPause = Self.longestPauseKey.value(in: sections)
        shares = (sections[Self.sharesSection] ?? [:]).compactMapValues { Int($0) }
        func fraction(_ key: String) -> Double {
            min(max(sections[Self.section]?[key].flatMap(Self.fraction) ?? Self.fractions[key] ?? 1, 0), 1)
        }
        usageLeft = fraction("usage_coeff")
        priorityLeft = fraction("priority_coeff")
    }

    static var fractionDefaults: Settings.Sections { [section: fractions.mapValues { "\($0)" }] }

    private static func fraction(_ text: String) -> Double? {
        guard let number = Double(text), number.isFinite else { return nil }
        return number
    }

    /// Why a setting can not be; `nil` when it can. What is out of its range counts as the nearest that is not, as in
    /// CouchDB.
    static func fault(_ section: String, _ key: String, _ value: String) -> String? {
        if section == sharesSection, Int(value) == nil { return "\(section)/\(key) must be an integer from 1 to 1000" }
        if section == self.section, fractions[key] != nil, fraction(value) == nil {
            return "\(section)/\(key) must be a number from 0 to 1"
        }
        return nil
    }
}
