import NIOCore
import NIOHTTPTypes
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Looks out for a connection's next request for a moment before the thread falls asleep, when the requests before came
/// that soon.
///
/// A client that asks one thing after the other waits mostly for two threads to wake up, its own and the server's: on a
/// virtual machine 30 to 60 µs each, about as long as a document takes to be read. The thread that serves it alone stays awake for it.
final class ConnectionWatch: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let requests: RequestCount
    private var habit = RequestHabit()
    /// The answer is in the channel, and goes out with the next flush.
    private var hasAnswered = false

    init(requests: RequestCount) { self.requests = requests }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .head = unwrapInboundIn(data) { habit.requested(number: requests.next(), at: .now()) }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) { hasAnswered = true }
        context.write(data, promise: promise)
    }

    func flush(context: ChannelHandlerContext) {
        context.flush()
        guard hasAnswered else { return }
        hasAnswered = false
        habit.answered(at: .now())
        guard habit.isQuick else { return }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.execute {
            // Behind what the answer left to do on this thread.
            bound.value.1.eventLoop.execute {
                let (watch, context) = bound.value
                watch.lookOut(context)
            }
        }
    }

    private func lookOut(_ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        do {
            _ = try context.channel.pipeline.syncOperations.withUnsafeTransportIfAvailable {
                (socket: NIOBSDSocket.Handle) in waitAwake(for: socket)
            }
        } catch {
            // It has been closed meanwhile.
            habit.gaveWay()
        }
    }

    /// Until something came, from this client or another, or others want the processor, or the window is over.
    private func waitAwake(for socket: NIOBSDSocket.Handle) {
        var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        var now = NIODeadline.now()
        let end = now + RequestHabit.window
        while habit.isLatest(requests.latest), now < end {
            if poll(&entry, 1, 0) != 0 {
                habit.met()
                return
            }
            let before = NIODeadline.now()
            sched_yield()
            now = .now()
            if now - before > RequestHabit.longestTurn {
                habit.gaveWay()
                return
            }
        }
        habit.missed()
    }
}

/// Numbers the requests of a server.
final class RequestCount: Sendable {
    private let count = Atomic(0)

    var latest: Int { count.load(ordering: .relaxed) }

    func next() -> Int { count.wrappingAdd(1, ordering: .relaxed).newValue }
}

/// How soon after an answer a client asks again, and whether it is the only one that asks.
struct RequestHabit {
    /// So long it may pay to stay awake.
    static let window = TimeAmount.microseconds(100)
    /// A request came soon when it would have come in the window without sleep: two threads have to wake up for it.
    static let soon = TimeAmount.microseconds(250)
    /// Others want the processor when giving it away takes longer.
    static let longestTurn = TimeAmount.microseconds(10)
    private static let leastProof = 4
    private static let mostProof = 64

    private var lastNumber = -1
    private var lastAnswer: NIODeadline?
    private var quickOnes = 0
    /// Requests in a row that show the habit: the more, the more often it was awake in vain.
    private var proof = leastProof

    /// The last requests all came soon after the answers before them, and the server had no others.
    var isQuick: Bool { quickOnes >= proof }

    func isLatest(_ number: Int) -> Bool { number == lastNumber }

    mutating func requested(number: Int, at time: NIODeadline) {
        let isQuick = lastAnswer.map { time - $0 < Self.soon } ?? false
        quickOnes = isQuick && number == lastNumber + 1 ? quickOnes + 1 : 0
        lastNumber = number
        lastAnswer = nil
    }

    mutating func answered(at time: NIODeadline) { lastAnswer = time }

    /// One came in the window.
    mutating func met() { proof = max(proof / 2, Self.leastProof) }

    /// Others want the processor: it was not awake to the end.
    mutating func gaveWay() { quickOnes = 0 }

    /// None came in the window.
    mutating func missed() {
        quickOnes = 0
        proof = min(proof * 2, Self.mostProof)
    }
}
