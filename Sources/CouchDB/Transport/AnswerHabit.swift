/// Whether it pays to stay awake for the next answer.
///
/// One who asks one thing after the other of a server near by waits mostly for threads to wake up, which takes 30 to 60 µs
/// each on a virtual machine, where the server needs as long for a document. A server that was soon there several times in
/// a row is waited for awake, for a moment; one that was not, asleep.
struct AnswerHabit {
    /// So long it may pay to stay awake.
    static let window = Duration.microseconds(150)
    /// So long a sleep is when it would have been no longer than the window awake: two threads have to wake up in it.
    static let shortSleep = Duration.microseconds(300)
    /// Others want the processor when giving it away takes longer.
    static let longestTurn = Duration.microseconds(10)
    private static let leastProof = 4
    private static let mostProof = 64

    private var shortSleeps = 0
    /// Short sleeps in a row that show the habit: the more, the more often it was awake in vain.
    private var proof = leastProof

    var isQuick: Bool { shortSleeps >= proof }

    /// The thread slept, and so long.
    mutating func slept(_ time: Duration) { shortSleeps = time < Self.shortSleep ? shortSleeps + 1 : 0 }

    /// It stayed awake, and not in vain.
    mutating func met() { proof = max(proof / 2, Self.leastProof) }

    /// Others want the processor: it was not awake to the end.
    mutating func gaveWay() { shortSleeps = 0 }

    /// It stayed awake in vain.
    mutating func missed() {
        shortSleeps = 0
        proof = min(proof * 2, Self.mostProof)
    }
}
