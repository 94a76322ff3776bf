import NIOCore

/// What a connection is waiting for and since when: decides when its client has been too slow.
///
/// Time that the server takes is never the client's: while the server does not read, a request may stand still.
struct ConnectionPace: Sendable {
    /// How long a client may take.
    struct Limits: Sendable {
        /// For the head of a request, from its first byte; on a new connection from the beginning.
        var head = TimeAmount.seconds(60)
        /// Between two pieces of a request's body.
        var body = TimeAmount.seconds(60)
        /// For taking what waits to be sent to it.
        var answer = TimeAmount.seconds(120)
        /// Between the answer that ends a connection and its end.
        var farewell = TimeAmount.seconds(5)
    }

    enum Event {
        /// The connection is there.
        case opened
        /// The server asks for more bytes.
        case reading
        /// Some bytes came, whatever they are part of.
        case received
        case requestBegan, requestContinued, requestEnded
        /// So much waits to be sent that nothing is added; or no more so.
        case jammed, flowing
        /// The last answer of this connection was written.
        case finished
    }

    private enum Phase { case idle, head, body, farewell }

    let limits: Limits
    private var phase = Phase.idle
    /// When the client last did its part of the phase, moved on by the time in which the server did not read.
    private var since = NIODeadline.uptimeNanoseconds(0)
    private var stoppedReading: NIODeadline?
    /// Whether what came last was part of a request that is known.
    private var wasPart = false
    private var jammedSince: NIODeadline?

    init(limits: Limits) { self.limits = limits }

    mutating func handle(_ event: Event, at now: NIODeadline) {
        switch event {
        case .opened:
            enter(.head, now)
            stoppedReading = now
        case .reading:
            if let stoppedReading, phase != .farewell { since = since + (now - stoppedReading) }
            stoppedReading = nil
        case .received:
            if stoppedReading == nil { stoppedReading = now }
            // More bytes of a head are no reason to wait longer for it.
            if phase == .idle && !wasPart { enter(.head, now) }
            wasPart = false
        case .requestBegan:
            enter(.body, now)
            wasPart = true
        case .requestContinued:
            if phase == .body { since = now }
            wasPart = true
        case .requestEnded:
            enter(.idle, now)
            wasPart = true
        case .jammed: jammedSince = now
        case .flowing: jammedSince = nil
        case .finished: enter(.farewell, now)
        }
    }

    private mutating func enter(_ next: Phase, _ now: NIODeadline) {
        if phase == .farewell { return }
        phase = next
        since = now
    }

    /// Whether the client has been too slow.
    func isOver(at now: NIODeadline) -> Bool {
        if let jammedSince, now - jammedSince > limits.answer { return true }
        switch phase {
        case .idle: return false
        case .head: return stoppedReading == nil && now - since > limits.head
        case .body: return stoppedReading == nil && now - since > limits.body
        case .farewell: return now - since > limits.farewell
        }
    }
}
