/// Gathers calls that come while an earlier one of their kind is under way, and carries them out together.
///
/// For each key one batch is under way at a time, so what belongs to a key may be changed by its batch alone.
actor Gatherer<Key: Hashable & Sendable, Call: Sendable, Answer: Sendable> {
    /// Carries out calls; answers one outcome for each, in order.
    typealias Work = @Sendable (Key, [Call]) async -> [Result<Answer, any Error>]

    private struct Waiting {
        let call: Call
        let continuation: CheckedContinuation<Answer, any Error>
    }

    private let limit: Int
    private let work: Work
    /// What waits, by key; a key is here as long as its batches are under way.
    private var queues: [Key: [Waiting]] = [:]

    /// - Parameter limit: At most so many calls in a batch.
    init(limit: Int, work: @escaping Work) {
        self.limit = limit
        self.work = work
    }

    /// Carries out a call, alone or with others.
    func perform(_ call: Call, for key: Key) async throws -> Answer {
        try await withCheckedThrowingContinuation { continuation in
            let waiting = Waiting(call: call, continuation: continuation)
            if queues[key] == nil {
                queues[key] = [waiting]
                Task { await run(key) }
            } else {
                queues[key]?.append(waiting)
            }
        }
    }

    private func run(_ key: Key) async {
        while let queue = queues[key], !queue.isEmpty {
            let batch = Array(queue.prefix(limit))
            queues[key] = Array(queue.dropFirst(limit))
            let outcomes = await work(key, batch.map(\.call))
            precondition(outcomes.count == batch.count, "an outcome for each call")
            for (waiting, outcome) in zip(batch, outcomes) { waiting.continuation.resume(with: outcome) }
        }
        queues[key] = nil
    }
}
