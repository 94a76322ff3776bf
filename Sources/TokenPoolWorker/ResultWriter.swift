import CouchDB
import TokenPool

/// Writes results: those that come while a request is under way share the next one, and in a rush a request gathers for a
/// few milliseconds, since one of ten results costs hardly more than one of one. Those that wait go with the next claim, if that is sooner.
///
/// An actor, to protect the list of results that wait.
actor ResultWriter {
    private struct Pending {
        let claim: ClaimedToken
        let result: TokenResult
        let answer: CheckedContinuation<Result<SaveOutcome, any Error>, Never>
        /// When the server first refused this one alone, and how long to wait before it is tried again.
        var refused: Timestamp?
        var pause = Duration.milliseconds(100)
        var size: Int { result.attachments.reduce(1000) { $0 + $1.bytes.count } }
    }

    private let pool: Pool
    private let patience: Patience
    private var pending: [Pending] = []
    /// What went with a claim and is not answered yet.
    private var riding: [Pending] = []
    private var writing: Task<Void, Never>?
    private var pauses: [Int: Task<Void, any Error>] = [:]
    private var nextPause = 0
    private var isAbandoned = false
    private static let batchLimit = 256
    private static let batchBytes = 8 << 20
    /// No more than locks can take along without waiting for them.
    private static let ridersLimit = 128
    private static let ridersBytes = 512 << 10
    /// From the beginning of a request to that of the next, while results come faster: at least this, and on a slow server
    /// twice the time that it takes to answer, so that others' requests and larger groups get through.
    private static let cadence = Duration.milliseconds(15)...Duration.milliseconds(100)

    init(pool: Pool, patience: Patience) {
        self.pool = pool
        self.patience = patience
    }

    /// Writes a result, again and again while the server is not heard of.
    func write(_ result: TokenResult, of claim: ClaimedToken) async throws -> SaveOutcome {
        try await withCheckedContinuation { continuation in
            enqueue(Pending(claim: claim, result: result, answer: continuation))
        }.get()
    }

    private func enqueue(_ entry: Pending) {
        pending.append(entry)
        if writing == nil {
            writing = pool.database.server.startOnTransportThread { await self.writeAll() }
        }
        if isAbandoned { writing?.cancel() }
    }

    /// Cuts what is under way short: every result that is not written yet fails.
    func abandon() {
        isAbandoned = true
        writing?.cancel()
        for pause in pauses.values { pause.cancel() }
    }

    /// Results that go along when the pilot claims: those that wait then, unless they are many or large. For one claim at a
    /// time.
    nonisolated var riders: Riders { Riders(board: { await self.board() }, arrive: { await self.arrive($0) }) }

    private func board() -> [FinishedClaim] {
        if let first = pending.first, first.size > Self.ridersBytes { return [] }
        riding = takeBatch(atMost: Self.ridersLimit, bytes: Self.ridersBytes)
        return riding.map { ($0.claim, $0.result) }
    }

    private func arrive(_ arrival: Riders.Arrival) {
        let batch = riding
        riding = []
        switch arrival {
        case .success(let outcomes): note(outcomes, of: batch)
        case .failure: for entry in batch { enqueue(entry) }
        }
    }

    private func takeBatch(atMost limit: Int, bytes: Int) -> [Pending] {
        var size = 0
        let batch = Array(
            pending.prefix(limit).prefix { entry in
                defer { size += entry.size }
                return size < bytes
            })
        pending.removeFirst(batch.count)
        return batch
    }

    private func writeAll() async {
        while !pending.isEmpty {
            let start = ContinuousClock.now
            let batch = takeBatch(atMost: Self.batchLimit, bytes: Self.batchBytes)
            await write(batch)
            // A result that comes alone is written at once. The pause is cut short by an abandonment, after which there is
            // nothing to gather for.
            if batch.count > 1 || !pending.isEmpty, pending.count < Self.batchLimit, !isAbandoned {
                let pause = (ContinuousClock.now - start) * 2
                try? await Task.sleep(
                    until: start + min(max(pause, Self.cadence.lowerBound), Self.cadence.upperBound))
            }
        }
        writing = nil
    }

    /// - Parameter isLast: Whether it is tried once only.
    private func write(_ batch: [Pending], isLast: Bool = false) async {
        do {
            let write = { @Sendable [pool] in try await pool.finishEach(batch.map { ($0.claim, $0.result) }) }
            let outcomes = try await isLast ? write() : patience.retrying(write)
            note(outcomes, of: batch)
        } catch let error as CouchDBError where error.isPassing && (error.status != 500 || batch.count == 1) {
            // Patience is at its end for all of them: a server that was not heard of is not waited for once more for each.
            for entry in batch { entry.answer.resume(returning: .failure(error)) }
        } catch  where batch.count > 1 {
            // One of them is at fault; each for itself, and what was written already is recognised.
            let isLast = (error as? CouchDBError)?.isPassing ?? false
            for entry in batch { await write([entry], isLast: isLast) }
        } catch {
            batch[0].answer.resume(returning: .failure(error))
        }
    }

    private func note(_ outcomes: [Result<SaveOutcome, any Error>], of batch: [Pending]) {
        for (entry, outcome) in zip(batch, outcomes) {
            if case .failure(let error as CouchDBError) = outcome, error.isPassing {
                tryAgain(entry, after: error)
            } else {
                entry.answer.resume(returning: outcome)
            }
        }
    }

    /// Tries one that the server could not take just now again after a pause, while others go on.
    private func tryAgain(_ entry: Pending, after error: CouchDBError) {
        var entry = entry
        let since = entry.refused ?? pool.clock.now()
        guard !isAbandoned, patience.allowsRetry(since: since) else {
            entry.answer.resume(returning: .failure(error))
            return
        }
        let (pause, number) = (entry.pause, nextPause)
        entry.refused = since
        entry.pause = min(pause * 2, .seconds(10))
        nextPause += 1
        let waiting = Task { [patience] in try await patience.pause(pause) }
        pauses[number] = waiting
        Task { [entry] in
            let outcome = await waiting.result
            pauses[number] = nil
            switch outcome {
            case .success: enqueue(entry)
            case .failure: entry.answer.resume(returning: .failure(error))
            }
        }
    }
}
