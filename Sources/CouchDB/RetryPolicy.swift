/// When a request that failed is sent again.
///
/// Only what may be repeated is: `GET` and `HEAD`; `POST` where it only reads (`_all_docs`, views, `_find`, `_bulk_get`,
/// `_changes`); `PUT` and `DELETE` of a document with its revision, which the server can carry out only once. Anything
/// may be sent again when no connection was made or the server said 429.
///
/// A `PUT` with a revision whose answer was lost *after* it had landed answers ``CouchDBError/conflict`` when it is
/// repeated. The client does not hide that: read the document and see whose write it is.
public struct RetryPolicy: Sendable, Hashable {
    /// How often a request is sent in all; 1 never repeats.
    public var attempts = 4
    /// No repeat begins later than this after the first attempt began.
    public var within: Duration = .seconds(30)
    /// The pause before the first repeat; it doubles with each.
    public var pause: Duration = .milliseconds(100)
    /// The longest pause. A longer `Retry-After` of the server ends the attempts only if ``within`` does.
    public var longestPause: Duration = .seconds(5)

    /// Up to four attempts within half a minute.
    public init() {}

    /// Every request is sent once.
    public static var never: RetryPolicy {
        var policy = RetryPolicy()
        policy.attempts = 1
        return policy
    }

    /// How long to wait before the next attempt; `nil` to give up.
    ///
    /// - Parameters:
    ///   - attempt: The number of attempts made so far.
    ///   - elapsed: The time since the first began.
    ///   - retryAfter: What the server asked for.
    ///   - jitter: 0 to 1; the pause is between a half and the whole of its nominal length.
    func delay(after attempt: Int, elapsed: Duration, retryAfter: Duration?, jitter: Double) -> Duration? {
        guard attempt < attempts else { return nil }
        let doubled = pause * (1 << min(attempt - 1, 20))
        var delay = min(doubled, longestPause) * (0.5 + 0.5 * jitter)
        if let retryAfter { delay = max(delay, retryAfter) }
        return elapsed + delay <= within ? delay : nil
    }
}

/// What a lost or refused request may have done, and so when it may be sent again.
enum Repeatability: Sendable {
    /// Reads, and writes that the server can carry out only once.
    case safe
    /// Only when nothing can have happened: no connection, or refused with 429.
    case onlyIfNothingHappened
}

extension CouchDBError {
    /// Whether a request that failed so may be sent again.
    func allowsRepeat(_ repeatability: Repeatability) -> Bool {
        switch (code, status) {
        case (.unreachable, nil), (.tooManyRequests, _): true
        case (.interrupted, _), (_, 502), (_, 503), (_, 504): repeatability == .safe
        default: false
        }
    }
}
