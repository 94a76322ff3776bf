/// Whether it pays to stay awake for the next answer.
///
/// One who asks one thing after the other of a server near by waits mostly for threads to wake up, which takes 30 to 60 µs
/// each on a virtual machine, where the server needs as long for a document. A server that was soon there several times in
/// a row is waited for awake, for a moment; one that was not, asleep.
struct AnswerHabit {
    /// So long it may pay to stay awake.
    static let window = Duration.microseconds(200)
    /// Others want the processor when giving it away takes longer.
    static let longestTurn = Duration.microseconds(10)
    /// Short sleeps in a row that show the habit.
    private static let proof = 4

    private var shortSleeps = 0

    var isQuick: Bool { shortSleeps >= Self.proof }

    /// The thread slept, and so long. What ended it may have had to wake another thread first.
    mutating func slept(_ time: Duration) {
        shortSleeps = time < Self.window * 2 ? min(shortSleeps + 1, Self.proof) : 0
    }

    /// It stayed awake in vain.
    mutating func missed() { shortSleeps = 0 }
}
