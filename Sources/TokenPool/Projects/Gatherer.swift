import Synchronization

/// Gathers calls that come while an earlier one of their kind is under way, and carries them out together.
///
/// For each key one batch is under way at a time, so what belongs to a key may be changed by its batch alone.
final class Gatherer<Key: Hashable & Sendable, Call: Sendable, Answer: Sendable>: Sendable {
    /// Carries out calls; answers one outcome for each, in order.
    typealias Work = @Sendable (Key, [Call]) async -> [Result<Answer, any Error>]

    private struct Waiting {
        let call: Call
        let continuation: CheckedContinuation<Answer, any Error>
    }

    private let limit: Int
    private let work: Work
    /// Protects what waits, by key; a key is here as long as its batches are under way.
    private let queues = Mutex<[Key: [Waiting]]>([:])

    /// - Parameter limit: At most so many calls in a batch.
    init(limit: Int, work: @escaping Work) {
        self.limit = limit
        self.work = work
    }

    /// Carries out a call, alone when nothing of its key is under way, else with whatever comes until that is over.
    ///
    /// - Parameter here: Whether it may be carried out by the task that asks, which saves a change of threads; what cancels
    ///   that task then reaches into the work.
    func perform(_ call: Call, for key: Key, here: Bool = true) async throws -> Answer {
        if here, queues.withLock({ queues in queues.begin(key) }) {
            let outcomes = await work(key, [call])
            precondition(outcomes.count == 1, "an outcome for each call")
            if end(key) { Task { await run(key) } }
            return try outcomes[0].get()
        }
        return try await withCheckedThrowingContinuation { continuation in
            let isFirst = queues.withLock { queues in
                let isFirst = queues.begin(key)
                queues[key]?.append(Waiting(call: call, continuation: continuation))
                return isFirst
            }
            if isFirst { Task { await run(key) } }
        }
    }

    /// - Returns: Whether others came meanwhile; else nothing of the key is under way any more.
    private func end(_ key: Key) -> Bool {
        queues.withLock { queues in
            if queues[key]?.isEmpty == false { return true }
            queues[key] = nil
            return false
        }
    }

    private func run(_ key: Key) async {
        repeat {
            let batch = queues.withLock { queues in
                let queue = queues[key] ?? []
                queues[key] = Array(queue.dropFirst(limit))
                return Array(queue.prefix(limit))
            }
            let outcomes = await work(key, batch.map(\.call))
            precondition(outcomes.count == batch.count, "an outcome for each call")
            for (waiting, outcome) in zip(batch, outcomes) { waiting.continuation.resume(with: outcome) }
        } while end(key)
    }
}

extension Dictionary where Value: RangeReplaceableCollection {
    /// Makes room for a key; `false` when it is there.
    fileprivate mutating func begin(_ key: Key) -> Bool {
        guard self[key] == nil else { return false }
        self[key] = Value()
        return true
    }
}
