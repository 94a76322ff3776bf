import Synchronization

/// Counts the tokens that came to their end, each once, and tells when it was the last.
final class Tally: Sendable {
    private struct State {
        var seen: Set<String> = []
        var doubles = 0
    }

    private let expected: Int
    /// Protects what was seen.
    private let state = Mutex(State())
    private let (ends, last) = AsyncStream.makeStream(of: Never.self)

    init(expected: Int) { self.expected = expected }

    /// How many ended more than once.
    var doubles: Int { state.withLock { $0.doubles } }

    func note(_ id: String) {
        let isLast = state.withLock { state in
            if !state.seen.insert(id).inserted { state.doubles += 1 }
            return state.seen.count == expected
        }
        if isLast { last.finish() }
    }

    /// Returns when all have ended, or the task is cancelled. For one task.
    func wait() async { for await _ in ends {} }
}
