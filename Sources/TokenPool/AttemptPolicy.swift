/// What becomes of a token whose try did not succeed.
///
/// A token says by `pool.max_attempts` how many tries it may have and by `pool.retry_delay` how long to wait after the
/// first; the pause doubles with each further try, up to ``longestDelay``. One that does not say gets a single try when
/// its command fails (as with PiCaS, whose `max_scrub` is 0) and ``lapseLimit`` when its workers vanish, since a lost
/// machine is not the token's fault; but a token that kills its machines must end some day, and from the second loss on
/// it pauses between them.
public struct AttemptPolicy: Hashable, Sendable {
    /// What happens next.
    public enum Decision: Hashable, Sendable {
        /// Back to todo, at once or when that moment comes.
        case retry(notBefore: Timestamp?)
        /// It stays an error.
        case giveUp
    }

    /// The tries a token may lose to vanished workers when it sets no limit itself.
    public static let lapseLimit = 10
    /// The pause after the second vanished worker, for tokens that set none.
    public static let lapseDelay = Duration.seconds(10)
    /// No pause is longer, unless the token's own first one is.
    public static let longestDelay = Duration.seconds(3600)

    /// How many tries there may be; `nil` when the token does not say.
    public var maxAttempts: Int?
    /// The pause after the first try; `nil` when the token does not say.
    public var delay: Duration?

    /// A policy of these parts.
    public init(maxAttempts: Int? = nil, delay: Duration? = nil) {
        self.maxAttempts = maxAttempts
        self.delay = delay
    }

    /// The policy that a token asks for.
    public init(of token: Token) {
        self.init(maxAttempts: token.pool.maxAttempts, delay: token.pool.retryDelay)
    }

    /// Decides after the try number `attempt` (1 is the first) ended in that way.
    ///
    /// - Parameter spread: From 0 to 1: how much of the last quarter of a pause is left out, so that tokens that failed
    ///   together do not come back together.
    public func decide(
        after outcome: Attempt.Outcome, attempt: Int, now: Timestamp, spread: Double = 0
    ) -> Decision {
        let limit: Int
        switch outcome {
        case .released, .reset: return .retry(notBefore: nil)
        case .done: return .giveUp
        case .failed, .timeLimit: limit = maxAttempts ?? 1
        case .lapsed: limit = maxAttempts ?? Self.lapseLimit
        }
        guard attempt < limit else { return .giveUp }
        let pause = pause(after: outcome, attempt: attempt)
        guard pause > .zero else { return .retry(notBefore: nil) }
        return .retry(notBefore: now + pause * (1 - 0.25 * min(max(spread, 0), 1)))
    }

    private func pause(after outcome: Attempt.Outcome, attempt: Int) -> Duration {
        let first: Duration
        let doublings: Int
        if let delay {
            (first, doublings) = (delay, attempt - 1)
        } else if outcome == .lapsed, attempt > 1 {
            (first, doublings) = (Self.lapseDelay, attempt - 2)
        } else {
            return .zero
        }
        return min(first * (1 << min(max(doublings, 0), 20)), max(first, Self.longestDelay))
    }
}
