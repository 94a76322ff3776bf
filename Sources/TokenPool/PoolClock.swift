import FoundationEssentials

/// What tells a pool the time. Leases, locks and delays are compared with it, so the clocks of the machines that share a
/// pool should agree within a few seconds.
public protocol PoolClock: Sendable {
    /// The present moment.
    func now() -> Timestamp
}

/// The machine's own clock.
public struct SystemClock: PoolClock {
    /// The machine's clock.
    public init() {}

    /// The present moment.
    public func now() -> Timestamp {
        Timestamp(milliseconds: Int((Date().timeIntervalSince1970 * 1000).rounded(.down)))
    }
}
