import CouchDB

/// A claim and what came of it.
public typealias FinishedClaim = (claim: ClaimedToken, result: TokenResult)

/// Results that wait to be written and go with the next locks, in one request.
///
/// A server spends most of the time of a small request on bringing it safely to disk, so what goes along costs it little.
package struct Riders: Sendable {
    /// What became of results: of each in their order, or of all together when the request failed.
    package typealias Arrival = Result<[Result<SaveOutcome, any Error>], any Error>

    /// Asked for results whenever such a request is about to leave.
    let board: @Sendable () async -> [FinishedClaim]
    /// Hears what became of those that went along. Whether those of a request that failed were written nobody knows; to
    /// write them again does no harm.
    let arrive: @Sendable (Arrival) async -> Void

    /// Results that these hand over and take back.
    package init(
        board: @escaping @Sendable () async -> [FinishedClaim], arrive: @escaping @Sendable (Arrival) async -> Void
    ) {
        self.board = board
        self.arrive = arrive
    }
}
