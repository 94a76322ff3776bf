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
    private let patience: Patience
    private var pending: [Pending] = []
    private var writing: Task<Void, Never>?
    private var isAbandoned = false
    private static let batchLimit = 256
    private static let batchBytes = 8 << 20

    init(pool: Pool, patience: Patience) {
        self.pool = pool
        self.patience = patience
    }

    /// Writes a result, again and again while the server is not heard of.
    func write(_ result: TokenResult, of claim: ClaimedToken) async throws -> SaveOutcome {
        try await withCheckedContinuation { continuation in
            pending.append(Pending(claim: claim, result: result, answer: continuation))
            if writing == nil { writing = Task { await writeAll() } }
            if isAbandoned { writing?.cancel() }
        }.get()
    }

    /// Cuts what is under way short: every result that is not written yet fails.
    func abandon() {
        isAbandoned = true
        writing?.cancel()
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
        writing = nil
    }

    private func write(_ batch: [Pending]) async {
        do {
            let outcomes = try await patience.retrying { [pool] in
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
