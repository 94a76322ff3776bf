import Foundation
import TokenPool

/// What a pilot does with its pool, without its commands: claims as many tokens as it has slots and finishes them.
struct ClaimCycle {
    let pool: Pool
    let slots: Int

    /// Goes on until so many tokens are finished.
    func run(_ count: Int) async throws {
        let worker = WorkerIdentity(
            hostname: ProcessInfo.processInfo.hostName, processID: Int(ProcessInfo.processInfo.processIdentifier),
            environment: [:])
        var chooser = QueueChooser()
        var finished = 0
        while finished < count {
            let claims = try await pool.claim(
                min(slots, count - finished), offering: Offer(cores: slots), as: worker, lease: .seconds(300),
                chooser: &chooser)
            guard !claims.isEmpty else { throw CommandFailure(message: "the pool ran dry after \(finished) tokens") }
            let now = pool.clock.now()
            let results = claims.map { (claim: $0, result: TokenResult(exitCode: 0, started: now, ended: now)) }
            for outcome in try await pool.finish(results) {
                guard case .saved = outcome else { throw CommandFailure(message: "a finished token was superseded") }
            }
            finished += claims.count
        }
    }
}
