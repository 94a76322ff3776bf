/// What becomes of a token whose try did not succeed.
///
/// A token says by `pool.max_attempts` how many tries it may have and by `pool.retry_delay` how long to wait between
/// them. One that does not say gets a single try when its command fails (as with PiCaS, whose `max_scrub` is 0) and
/// ``lapseLimit`` when its workers vanish, since a lost machine is not the token's fault; but a token that kills its
/// machines must end some day.
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

    /// How many tries there may be; `nil` when the token does not say.
    public var maxAttempts: Int?
    /// The pause before the next one.
    public var delay: Duration

    /// A policy of these parts.
    public init(maxAttempts: Int? = nil, delay: Duration = .zero) {
        self.maxAttempts = maxAttempts
        self.delay = delay
    }

    /// The policy that a token asks for.
    public init(of token: Token) {
        self.init(maxAttempts: token.pool.maxAttempts, delay: token.pool.retryDelay ?? .zero)
    }

    /// Decides after the try number `attempt` (1 is the first) ended in that way.
    public func decide(after outcome: Attempt.Outcome, attempt: Int, now: Timestamp) -> Decision {
        let limit: Int
        switch outcome {
        case .released, .reset: return .retry(notBefore: nil)
        case .done: return .giveUp
        case .failed, .timeLimit: limit = maxAttempts ?? 1
        case .lapsed: limit = maxAttempts ?? Self.lapseLimit
        }
        guard attempt < limit else { return .giveUp }
        return .retry(notBefore: delay > .zero ? now + delay : nil)
    }
}
