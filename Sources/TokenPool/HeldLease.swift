/// A lease as its holder sees it: when to renew it, and when to stop because it can no longer be relied on.
///
/// Renewal is due after a third of the length. A renewal that failed is tried again soon; when the lease ran out
/// meanwhile, the work must stop, since any janitor may have given the token to somebody else.
public struct HeldLease: Hashable, Sendable {
    /// What happens to it.
    public enum Event: Hashable, Sendable {
        /// The renewal was written.
        case renewed(until: Timestamp)
        /// The renewal could not be written, and nobody is known to have taken the token.
        case renewalFailed(now: Timestamp)
        /// The document says that somebody else moved the token on.
        case lost
        /// Time passed.
        case tick(now: Timestamp)
    }

    /// What its holder should do.
    public enum Action: Hashable, Sendable {
        /// Nothing.
        case none
        /// Write a new end.
        case renew
        /// Stop the command: the token is no longer ours.
        case stopWork
    }

    /// The full length of the lease.
    public let length: Duration
    /// When it ends unless renewed.
    public private(set) var until: Timestamp
    /// When the next renewal is due.
    public private(set) var renewAt: Timestamp
    /// Whether it was lost or ran out.
    public private(set) var isOver = false
    private var isRenewing = false

    /// A lease that was just written and ends then.
    public init(length: Duration, until: Timestamp) {
        self.length = length
        self.until = until
        renewAt = until - (length * 2 / 3)
    }

    /// When it wants to be asked again.
    public var nextEvent: Timestamp { isRenewing ? until : min(renewAt, until) }

    /// Takes in what happened and says what to do.
    public mutating func handle(_ event: Event) -> Action {
        guard !isOver else { return .none }
        switch event {
        case .renewed(let until):
            isRenewing = false
            self.until = max(until, self.until)
            renewAt = until - (length * 2 / 3)
            return .none
        case .renewalFailed(let now):
            isRenewing = false
            renewAt = now + length / 12
            return handle(.tick(now: now))
        case .lost:
            isOver = true
            return .stopWork
        case .tick(let now):
            if now >= until {
                isOver = true
                return .stopWork
            }
            guard now >= renewAt, !isRenewing else { return .none }
            isRenewing = true
            return .renew
        }
    }
}
