import Foundation
import TokenPool

/// What a pilot does with its pool, without its commands: claims as many tokens as it has slots and finishes them. The
/// results of the last ones go with the next claim.
struct ClaimCycle {
    let pool: Pool
    let slots: Int

    /// Goes on until so many tokens are finished.
    func run(_ count: Int) async throws {
        let worker = WorkerIdentity(
            hostname: ProcessInfo.processInfo.hostName, processID: Int(ProcessInfo.processInfo.processIdentifier),
            environment: [:])
        let finished = FinishedClaims()
        let riders = Riders(board: { await finished.take() }, arrive: { await finished.note($0) })
        var chooser = QueueChooser()
        var claimed = 0
        while claimed < count {
            let claims = try await pool.claim(
                min(slots, count - claimed), offering: Offer(cores: slots), as: worker, lease: .seconds(300),
                chooser: &chooser, taking: riders)
            guard !claims.isEmpty else { throw CommandFailure(message: "the pool ran dry after \(claimed) tokens") }
            claimed += claims.count
            let now = pool.clock.now()
            try await finished.add(
                claims.map { ($0, TokenResult(exitCode: 0, started: now, ended: now)) })
        }
        await finished.note(.success(try await pool.finishEach(await finished.take())))
        try await finished.check(count)
    }
}

/// Claims that came to their end and are not written yet. An actor, to protect them.
private actor FinishedClaims {
    private var waiting: [FinishedClaim] = []
    private var written = 0
    private var failure: (any Error)?

    func take() -> [FinishedClaim] {
        defer { waiting = [] }
        return waiting
    }

    /// - Throws: What went wrong with those before.
    func add(_ claims: [FinishedClaim]) throws {
        if let failure { throw failure }
        waiting += claims
    }

    func note(_ arrival: Riders.Arrival) {
        do {
            for outcome in try arrival.get() {
                guard case .saved = try outcome.get() else {
                    throw CommandFailure(message: "a finished token was superseded")
                }
                written += 1
            }
        } catch { failure = failure ?? error }
    }

    /// - Throws: When not all are written.
    func check(_ count: Int) throws {
        if let failure { throw failure }
        guard written == count else { throw CommandFailure(message: "\(written) of \(count) results were written") }
    }
}
