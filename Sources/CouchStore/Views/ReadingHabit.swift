/// Whether whoever writes reads the index next, each time.
///
/// Then it pays to take a write in while its answer is on the way to the client. Where several writes come between two
/// reads, one pass over all of them costs less.
struct ReadingHabit {
    /// Single writes in a row, each followed by a reader, that show the habit.
    private static let proof = 4

    /// Since the last reader.
    private var writes = 0
    private var pairs = 0

    /// Somebody reads, and wants to see everything.
    mutating func read() {
        if writes > 1 { pairs = 0 }
        if writes == 1 { pairs = min(pairs + 1, Self.proof) }
        writes = 0
    }

    /// Something was written. Answers whether a reader is to be expected now.
    mutating func written() -> Bool {
        writes += 1
        if writes > 1 { pairs = 0 }
        return pairs == Self.proof
    }
}
