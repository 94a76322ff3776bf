import CouchDB
import TokenPool

/// Writes results: those that come while a request is under way share the next one.
///
/// An actor, to protect the list of results that wait.
actor ResultWriter {
    private struct Pending {
        let claim: ClaimedToken
        let result: TokenResult
        let answer: CheckedContinuation<Result<SaveOutcome, any Error>, Never>
        var size: Int { result.attachments.reduce(1000) { $0 + $1.bytes.count } }
    }

    private let pool: Pool
    private let patience: Duration
    private var pending: [Pending] = []
    private var isWriting = false
    private static let batchLimit = 256
    private static let batchBytes = 8 << 20

    init(pool: Pool, patience: Duration) {
        self.pool = pool
        self.patience = patience
    }

    /// Writes a result, again and again while the server is not heard of.
    func write(_ result: TokenResult, of claim: ClaimedToken) async throws -> SaveOutcome {
        try await withCheckedContinuation { continuation in
            pending.append(Pending(claim: claim, result: result, answer: continuation))
            guard !isWriting else { return }
            isWriting = true
            Task { await writeAll() }
        }.get()
    }

    private func writeAll() async {
        while !pending.isEmpty {
            var size = 0
            let count = pending.prefix(Self.batchLimit).prefix { entry in
                defer { size += entry.size }
                return size < Self.batchBytes
            }.count
            let batch = Array(pending.prefix(count))
            pending.removeFirst(count)
            await write(batch)
        }
        isWriting = false
    }

    private func write(_ batch: [Pending]) async {
        do {
            let outcomes = try await retrying(patience: patience, pool.clock) { [pool] in
                try await pool.finish(batch.map { ($0.claim, $0.result) })
            }
            for (entry, outcome) in zip(batch, outcomes) { entry.answer.resume(returning: .success(outcome)) }
        } catch  where batch.count > 1 {
            // One of them is at fault; each for itself, and what was written already is recognised.
            for entry in batch { await write([entry]) }
        } catch {
            batch[0].answer.resume(returning: .failure(error))
        }
    }
}

/// Does work again after a growing pause while the server is not heard of or overloaded, for as long as patience lasts.
func retrying<Value: Sendable>(
    patience: Duration, _ clock: any PoolClock, _ work: @Sendable () async throws -> Value
) async throws -> Value {
    let end = clock.now() + patience
    var pause = Duration.milliseconds(100)
    while true {
        do {
            return try await work()
        } catch let error as CouchDBError
            where (error.isUncertain || error.code == .tooManyRequests) && clock.now() < end
        {
            try await Task.sleep(for: pause * Double.random(in: 0.5...1.5))
            pause = min(pause * 2, .seconds(10))
        }
    }
}
