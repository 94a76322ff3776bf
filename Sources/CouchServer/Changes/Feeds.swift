import Synchronization

/// The feeds that wait for changes: a server that stops ends them, so that their connections can close.
final class Feeds: Sendable {
    private struct State {
        var isEnding = false
        var nextID = 0
        var waiting: [Int: @Sendable () -> Void] = [:]
    }
    /// Protects the list of feeds and whether all are to end.
    private let state = Mutex(State())

    /// Whether the server stops: a feed then ends as if its time were up.
    var isEnding: Bool { state.withLock(\.isEnding) }

    /// Calls `stop` when the server ends its feeds, at once if it already does, until the answer is called.
    func onEnd(_ stop: @escaping @Sendable () -> Void) -> @Sendable () -> Void {
        let id: Int? = state.withLock { state in
            if state.isEnding { return nil }
            state.nextID += 1
            state.waiting[state.nextID] = stop
            return state.nextID
        }
        guard let id else {
            stop()
            return {}
        }
        return { [self] in state.withLock { _ = $0.waiting.removeValue(forKey: id) } }
    }

    /// Ends all feeds, and every later one at its beginning.
    func end() {
        let waiting = state.withLock { state in
            state.isEnding = true
            defer { state.waiting = [:] }
            return state.waiting.values.map { $0 }
        }
        for stop in waiting { stop() }
    }
}
