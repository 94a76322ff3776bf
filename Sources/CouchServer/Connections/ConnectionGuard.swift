import HTTPTypes
import NIOCore
import NIOHTTPTypes

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Stands between a connection and the requests that come over it: cuts off clients that are too slow, turns away
/// connections beyond the limit, ends connections after their last answer, and tells who waits that the client has gone.
///
/// Works on the connection's event loop only.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let limits: ConnectionPace.Limits
    private let counter: ConnectionCounter
    private var pace: ConnectionPace
    private var place: ConnectionCounter.Place?
    private var clock: RepeatedTask?
    /// Whether each request that was read and not yet answered is a HEAD.
    private var isHead = CircularBuffer<Bool>()
    private var isReadingRequest = false
    /// The head of the answer being written said that it is the last.
    private var isLastAnswer = false
    /// The answer being written has no body although its head tells of chunks.
    private var hidesFraming = false
    private var hasHungUp = false
    private var onHangUp: (@Sendable () -> Void)?

    init(limits: ConnectionPace.Limits, counter: ConnectionCounter) {
        self.limits = limits
        self.counter = counter
        pace = ConnectionPace(limits: limits)
    }

    // MARK: The life of the connection

    func handlerAdded(context: ChannelHandlerContext) { if context.channel.isActive { begin(context) } }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard place == nil else { return }
        let place = counter.enter()
        self.place = place
        if place == .refused {
            context.close(promise: nil)
            return
        }
        pace.handle(.opened, at: .now())
        let shortest = min(limits.head, limits.body, limits.answer, limits.farewell)
        let step = TimeAmount.nanoseconds(max(shortest.nanoseconds / 4, TimeAmount.milliseconds(50).nanoseconds))
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        clock = context.eventLoop.scheduleRepeatedTask(initialDelay: step, delay: step) { _ in
            let (guardian, context) = bound.value
            if guardian.pace.isOver(at: .now()) { guardian.cut(context) }
        }
    }

    /// Ends a connection whose client is too slow. With what it did not take: else the kernel would keep that and go on
    /// trying.
    private func cut(_ context: ChannelHandlerContext) {
        clock?.cancel()
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        guard !context.channel.isWritable, let socket = context.channel as? any SocketOptionProvider else {
            context.close(promise: nil)
            return
        }
        socket.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in bound.value.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    private func end() {
        clock?.cancel()
        clock = nil
        if let place { counter.leave(place) }
        place = .left
        hangUp()
    }

    private func hangUp() {
        hasHungUp = true
        onHangUp?()
        onHangUp = nil
    }

    /// Calls `act` once the client has closed its side; at once when it has. Of several the last counts.
    func whenHungUp(_ act: @escaping @Sendable () -> Void) { if hasHungUp { act() } else { onHangUp = act } }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { hangUp() }
        context.fireUserInboundEventTriggered(event)
    }

    // MARK: What comes in

    func read(context: ChannelHandlerContext) {
        pace.handle(.reading, at: .now())
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let request):
            pace.handle(.requestBegan, at: .now())
            isReadingRequest = true
            if place == .surplus {
                turnAway(context)
                return
            }
            isHead.append(request.method == .head)
        case .body: pace.handle(.requestContinued, at: .now())
        case .end:
            isReadingRequest = false
            pace.handle(.requestEnded, at: .now())
            if isLastAnswer && isHead.isEmpty { context.close(promise: nil) }
        }
        if place != .surplus { context.fireChannelRead(data) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        pace.handle(.received, at: .now())
        context.fireChannelReadComplete()
    }

    /// There are too many connections: a word and the end.
    private func turnAway(_ context: ChannelHandlerContext) {
        let body = context.channel.allocator.buffer(
            string: "{\"error\":\"service_unavailable\",\"reason\":\"too many connections\"}\n")
        let fields: HTTPFields = [
            .contentType: "application/json", .contentLength: String(body.readableBytes), .connection: "close",
            .retryAfter: String(Workload.retrySeconds),
        ]
        context.write(
            wrapOutboundOut(.head(HTTPResponse(status: .serviceUnavailable, headerFields: fields))), promise: nil)
        context.write(wrapOutboundOut(.body(body)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        close(context: context, mode: .output, promise: nil)
    }

    // MARK: What goes out

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let response) where response.status.kind != .informational:
            isLastAnswer = response.headerFields[.connection]?.lowercased() == "close"
            // The encoder frames every body of unknown length in chunks, also the one that HEAD leaves out.
            hidesFraming = isHead.first == true && response.headerFields[.contentLength] == nil
            context.write(data, promise: promise)
        case .end:
            if !isHead.isEmpty { isHead.removeFirst() }
            let promise = isLastAnswer ? farewell(context, after: promise) : promise
            if hidesFraming {
                hidesFraming = false
                // What was written before decides when this is done.
                context.write(wrapOutboundOut(.body(context.channel.allocator.buffer(capacity: 0))), promise: promise)
            } else {
                context.write(data, promise: promise)
            }
        default: context.write(data, promise: promise)
        }
    }

    /// Ends the connection once its last answer is with the client's machine. A client that still sends must be able to
    /// read the answer first, so only our side is closed then.
    private func farewell(_ context: ChannelHandlerContext, after promise: EventLoopPromise<Void>?)
        -> EventLoopPromise<Void>
    {
        let written = promise ?? context.eventLoop.makePromise()
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        written.futureResult.whenComplete { _ in
            let (guardian, context) = bound.value
            guardian.pace.handle(.finished, at: .now())
            context.close(mode: guardian.isReadingRequest ? .output : .all, promise: nil)
        }
        return written
    }

    /// The server's side is closed: the client has a little time to close its own.
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode == .output else {
            context.close(mode: mode, promise: promise)
            return
        }
        let closed = promise ?? context.eventLoop.makePromise()
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        closed.futureResult.whenComplete { _ in bound.value.pace.handle(.finished, at: .now()) }
        context.close(mode: .output, promise: closed)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        pace.handle(context.channel.isWritable ? .flowing : .jammed, at: .now())
        context.fireChannelWritabilityChanged()
    }
}

extension HTTPField.Name {
    static let retryAfter = Self("Retry-After")!
}

extension Channel {
    /// Calls `act` once the client of this connection has closed its side; at once when it has.
    package func whenClientHangsUp(_ act: @escaping @Sendable () -> Void) {
        eventLoop.execute {
            if let guardian = try? self.pipeline.syncOperations.handler(type: ConnectionGuard.self) {
                guardian.whenHungUp(act)
            } else {
                // The pipeline of a closed connection is empty.
                act()
            }
        }
    }
}
