import Synchronization

/// What happened to which database: made, written to, deleted. Behind `_db_updates`.
///
/// Of each database the latest event is known. It lives in memory: after a start every database counts as written to, so
/// that a reader who goes on from an old sequence misses nothing.
final class DatabaseEvents: Sendable {
    enum Kind: String, Sendable {
        case created, updated, deleted
    }

    struct Event: Sendable {
        let sequence: Int
        let database: String
        let kind: Kind
    }

    private struct State {
        var sequence: Int
        var latest: [String: Event] = [:]
        var waiting: [Int: AsyncStream<Void>.Continuation] = [:]
        var nextWaiter = 0
        /// Those who follow which databases there are.
        var followers: [Int: AsyncStream<Void>.Continuation] = [:]
    }

    /// Protects the events and who waits for the next.
    private let state: Mutex<State>
    /// Deleted databases that are remembered.
    private static let longestMemory = 100_000

    /// - Parameters:
    ///   - start: Greater than any sequence of an earlier life: the time in microseconds, which no server outruns.
    init(databases: [String], start: Int) {
        var first = State(sequence: start)
        for name in databases {
            first.sequence += 1
            first.latest[name] = Event(sequence: first.sequence, database: name, kind: .updated)
        }
        state = Mutex(first)
    }

    func note(_ database: String, _ kind: Kind) {
        let waiting = state.withLock { state in
            state.sequence += 1
            state.latest[database] = Event(sequence: state.sequence, database: database, kind: kind)
            if kind == .deleted, state.latest.count > Self.longestMemory {
                state.latest = state.latest.filter { $0.value.kind != .deleted }
            }
            defer { state.waiting = [:] }
            // Told under the lock: the latest of these can not be missed.
            if kind != .updated { for follower in state.followers.values { follower.yield() } }
            return state.waiting.values.map { $0 }
        }
        for continuation in waiting { continuation.finish() }
    }

    /// Something at once and after each time that databases were made or deleted; several at a time may be one.
    func listChanges() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let key = state.withLock { state in
            state.nextWaiter += 1
            state.followers[state.nextWaiter] = continuation
            return state.nextWaiter
        }
        continuation.onTermination = { [self] _ in state.withLock { _ = $0.followers.removeValue(forKey: key) } }
        continuation.yield()
        return stream
    }

    var lastSequence: Int { state.withLock(\.sequence) }

    /// The events after that sequence, in order.
    func events(after sequence: Int) -> [Event] {
        let found = state.withLock { state in
            state.sequence > sequence ? state.latest.values.filter { $0.sequence > sequence } : []
        }
        return found.sorted { $0.sequence < $1.sequence }
    }

    /// A sequence of nothing that ends with the next event, and what to call when nobody waits any more.
    func next(after sequence: Int) -> (end: AsyncStream<Void>, forget: @Sendable () -> Void) {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        let key: Int? = state.withLock { state in
            if state.sequence > sequence { return nil }
            state.nextWaiter += 1
            state.waiting[state.nextWaiter] = continuation
            return state.nextWaiter
        }
        guard let key else {
            continuation.finish()
            return (stream, {})
        }
        return (stream, { [self] in state.withLock { _ = $0.waiting.removeValue(forKey: key) } })
    }
}
