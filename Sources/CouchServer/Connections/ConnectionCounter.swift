import Synchronization

/// Counts the open connections of the server.
final class ConnectionCounter: Sendable {
    /// What becomes of a connection.
    enum Place {
        /// Served.
        case served
        /// One too many: its first request is answered 503.
        case surplus
        /// Far too many: closed without a word.
        case refused
        /// It has gone.
        case left
    }

    private struct State {
        var open = 0
    }
    /// Protects the count.
    private let state = Mutex(State())
    private let limit: @Sendable () -> Int

    /// - Parameter limit: How many connections are served at once; asked for each new one.
    init(limit: @escaping @Sendable () -> Int) { self.limit = limit }

    /// Takes in a connection, which leaves in the end whatever became of it.
    func enter() -> Place {
        let limit = limit()
        return state.withLock { state in
            state.open += 1
            if state.open <= limit { return .served }
            return state.open <= limit + max(16, limit / 4) ? .surplus : .refused
        }
    }

    func leave(_ place: Place) { if place != .left { state.withLock { $0.open -= 1 } } }
}
