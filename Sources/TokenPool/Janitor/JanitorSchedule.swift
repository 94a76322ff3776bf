/// When a janitor looks for what: a value with the time in and rounds out.
///
/// Idle, it costs less than a request in ten seconds. It looks at once when it knows that something becomes due, again at
/// once when there was more than one round could do, less often when others do the work, and rarely when the server is
/// away.
public struct JanitorSchedule: Hashable, Sendable {
    /// What a janitor looks for.
    public enum Round: Int, Hashable, Sendable, CaseIterable {
        /// What is due: leases, waiting tokens, sets left half done, vanished workers.
        case due
        /// Tokens that nobody freed when what they waited for ended.
        case dependents
        /// Tokens that workers without leases hold.
        case foreign
        /// Documents of which there are several versions.
        case conflicts
        /// Projects that nobody ended, and those that are to be removed.
        case projects

        /// The time between two looks that find nothing.
        var period: Duration {
            switch self {
            case .due: .seconds(20)
            case .dependents, .foreign: .seconds(60)
            case .conflicts: .seconds(300)
            case .projects: .seconds(600)
            }
        }
    }

    /// How a round went.
    public enum Outcome: Hashable, Sendable {
        /// It ended; when the next thing is due that it saw, whether there is more to do now, and whether others did it.
        case done(nextDue: Timestamp?, isFull: Bool, lostRaces: Bool)
        /// The server did not answer, or refused.
        case failed
    }

    /// The longest pause while rounds fail.
    private static let longestPause = Duration.seconds(60)
    /// How much later than its moment a thing is looked for at most, so that janitors do not all come at once.
    private static let tardiness = Duration.seconds(2)

    private var times: [Round: Timestamp]
    private var failures = 0
    private let jitter: Double

    /// A schedule that begins now.
    ///
    /// - Parameters:
    ///   - takesBackForeign: Whether tokens of workers without leases are looked for.
    ///   - jitter: Between 0 and 1, this janitor's own: so that janitors started together do not act together.
    public init(started: Timestamp, takesBackForeign: Bool = false, jitter: Double = 0) {
        self.jitter = min(max(jitter, 0), 1)
        times = [:]
        for round in Round.allCases where round != .foreign || takesBackForeign { times[round] = started }
    }

    /// When there is something to do next.
    public var wake: Timestamp { times.values.min() ?? Timestamp(seconds: 0) }

    /// The round to do now, if any.
    public func round(now: Timestamp) -> Round? {
        times.filter { $0.value <= now }.min { ($0.value, $0.key.rawValue) < ($1.value, $1.key.rawValue) }?.key
    }

    /// Takes in how a round went.
    public mutating func note(_ round: Round, _ outcome: Outcome, now: Timestamp) {
        let period = round.period * (1 + 0.5 * jitter)
        switch outcome {
        case .done(let nextDue, let isFull, let lostRaces):
            failures = 0
            var next = now + (lostRaces ? period * 2 : period)
            if isFull && !lostRaces { next = now }
            if let nextDue { next = min(next, max(nextDue + Self.tardiness * jitter, now)) }
            times[round] = next
        case .failed:
            failures += 1
            let pause = min(.seconds(1 << min(failures - 1, 6)), Self.longestPause) * (1 + 0.5 * jitter)
            for other in times.keys { times[other] = max(times[other] ?? now, now + pause) }
        }
    }
}
