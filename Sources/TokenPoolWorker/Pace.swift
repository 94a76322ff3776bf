import TokenPool

/// How fast tokens go through a pilot, from which follows how many it should hold ready.
///
/// A token that waits in a pilot is one that nobody else can take, so only so many are held as the slots will need while
/// the next claim is under way: none beside commands of seconds, some dozens beside commands of a millisecond.
struct Pace: Hashable, Sendable {
    /// The usual time of a command; `nil` before the first one ended.
    private(set) var run: Duration?
    /// The usual time of a claim.
    private(set) var claim = Duration.milliseconds(5)
    private static let limit = 128

    mutating func note(_ duration: Duration) {
        run = run.map { $0 * 0.8 + duration * 0.2 } ?? duration
    }

    mutating func noteClaim(_ duration: Duration) { claim = claim * 0.7 + duration * 0.3 }

    /// How far ahead to look.
    private var lead: Duration { min(max(claim * 3, .milliseconds(10)), .milliseconds(200)) }

    /// How many tokens the slots will need within the lead, given when their commands began.
    func wanted(slots: Int, running: [Timestamp], now: Timestamp) -> Int {
        guard let run else { return slots - running.count }
        let perToken = max(run / .milliseconds(1), 0.5)
        let lead = lead / .milliseconds(1)
        var wanted = Double(slots - running.count)
        for started in running {
            let left = max(0, perToken - Double((now - started).wholeMilliseconds))
            if left <= lead { wanted += 1 }
        }
        if perToken < lead { wanted += Double(slots) * (lead / perToken - 1) }
        return min(Int(wanted.rounded(.up)), slots + Self.limit)
    }

    /// When the next of these commands will be about to end.
    func prefetchMoment(running: [Timestamp], now: Timestamp) -> Timestamp? {
        guard let run, run > lead else { return nil }
        // Moments are whole milliseconds: one that is too early would find that nothing is wanted yet, and be the last.
        let time = Duration.milliseconds(Int(((run - lead) / .milliseconds(1)).rounded(.up)))
        return running.map { $0 + time }.filter { $0 > now }.min()
    }
}
