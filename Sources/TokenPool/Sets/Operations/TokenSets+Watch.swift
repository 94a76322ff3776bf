import CouchDB
import CouchDocument

/// What a set looks like at a moment of being watched.
public struct SetSight: Hashable, Sendable {
    /// How many tokens are in which state.
    public let counts: StateCounts
    /// How many tokens the set has.
    public let total: Int
    /// The moment.
    public let time: Timestamp
    /// Tokens that ended a second, over the last minute or since watching began; `nil` before there is anything to tell.
    public let rate: Double?
    /// Whether nothing more will happen by itself: no token is open, locked or waiting.
    public let isOver: Bool

    /// How long the rest takes at this rate; `nil` when nobody knows.
    public var remaining: Duration? {
        guard let rate, rate > 0 else { return nil }
        return .seconds(Int((Double(total - counts.ended) / rate).rounded(.up)))
    }
}

/// Looks at counts and works out how fast they change. A value: give it what was seen and when.
struct SetPace {
    private var sights: [(time: Timestamp, ended: Int)] = []

    /// Tokens a second since the oldest sight that is no older than a minute.
    mutating func rate(ended: Int, at time: Timestamp) -> Double? {
        while sights.count > 1, sights[1].time <= time - .seconds(60) { sights.removeFirst() }
        sights.append((time, ended))
        guard let first = sights.first, sights.count > 1 else { return nil }
        let milliseconds = (time - first.time).wholeMilliseconds
        return milliseconds > 0 ? Double(max(0, ended - first.ended)) * 1000 / Double(milliseconds) : nil
    }
}

extension TokenSets {
    /// Looks at a set again and again until its last token has ended.
    ///
    /// - Parameters:
    ///   - interval: The time between two looks.
    ///   - show: Gets what was seen, the last sight included.
    /// - Returns: The last sight.
    @discardableResult
    public func watch(
        _ name: String, every interval: Duration = .seconds(1), _ show: (SetSight) async throws -> Void
    ) async throws -> SetSight {
        var pace = SetPace()
        while true {
            let set = try await set(name)
            let counts = try await counts(of: name)
            let time = now
            // A cancelled set's held tokens wait for nothing.
            let open = counts[.todo] + counts[.locked] + (set.state == .cancelled ? 0 : counts[.waiting])
            let sight = SetSight(
                counts: counts, total: max(set.state == .creating ? set.tokens : 0, counts.total), time: time,
                rate: pace.rate(ended: counts.ended, at: time),
                isOver: open == 0 && set.state != .creating && set.step == .finished)
            try await show(sight)
            if sight.isOver { return sight }
            try await Task.sleep(for: interval)
        }
    }
}
