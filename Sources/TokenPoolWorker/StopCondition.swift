public import TokenPool

/// When a pilot takes no more tokens.
public struct StopCondition: Hashable, Sendable {
    /// How long it takes tokens after its start; `nil` without end.
    public var maxTime: Duration?
    /// How many tokens it takes; `nil` any number.
    public var maxTokens: Int?
    /// Whether it waits for more when the pool is empty, instead of ending.
    public var waits: Bool

    /// A condition of these parts. The default ends when the pool is empty.
    public init(maxTime: Duration? = nil, maxTokens: Int? = nil, waits: Bool = false) {
        self.maxTime = maxTime
        self.maxTokens = maxTokens
        self.waits = waits
    }

    /// When time is up.
    public func deadline(from start: Timestamp) -> Timestamp? { maxTime.map { start + $0 } }

    /// How many tokens may still be taken; `nil` any number.
    public func remaining(taken: Int, started: Timestamp, now: Timestamp) -> Int? {
        if let deadline = deadline(from: started), now >= deadline { return 0 }
        return maxTokens.map { max(0, $0 - taken) }
    }
}
