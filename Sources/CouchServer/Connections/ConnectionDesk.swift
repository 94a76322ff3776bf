import CouchStore
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypes

/// Answers requests without a body where they arrive: on the connection's thread, at once as far as nothing has to be waited for.
///
/// Hummingbird carries every request through a stream of parts to a task and its answer through another back, which costs more
/// than reading a document does. It gets all other requests, and so the order is seen to here: while one is answered here, what comes
/// behind it waits, and while one is with Hummingbird all that follow go there too.
///
/// Works on the connection's event loop only. Stands next to Hummingbird's own handler: whoever counts requests or watches the time
/// has seen each already.
final class ConnectionDesk: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart
    typealias Responder = @Sendable (Request, CallContext) async throws -> Response

    /// What comes in, in its order.
    private enum Arrival {
        case part(HTTPRequestPart)
        /// The client has closed its side.
        case inputClosed(Any)
        case error(any Error)
    }

    private let responder: Responder
    private let executor: any TaskExecutor
    private let logger: Logger
    /// The request that is read, when it is one to be answered here.
    private var head: HTTPRequest?
    private var isAnswering = false
    /// Requests that Hummingbird has and did not answer yet.
    private var passedOn = 0
    /// What came while one is answered here.
    private var waiting = CircularBuffer<Arrival>()
    private var isTakingUp = false
    /// The client does not take what it is sent: nothing more is answered until it does.
    private var awaitsRoom = false
    /// The next read was asked for, and is put off because enough waits here.
    private var owesRead = false

    init(responder: @escaping Responder, executor: any TaskExecutor, logger: Logger) {
        self.responder = responder
        self.executor = executor
        self.logger = logger
    }

    // MARK: What comes in

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { take(.part(unwrapInboundIn(data)), context) }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent {
            take(.inputClosed(event), context)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { take(.error(error), context) }

    func channelInactive(context: ChannelHandlerContext) {
        // Nobody is there to be answered; what was begun goes to its end.
        waiting.removeAll()
        context.fireChannelInactive()
    }

    func read(context: ChannelHandlerContext) {
        if waiting.isEmpty { context.read() } else { owesRead = true }
    }

    private func take(_ arrival: Arrival, _ context: ChannelHandlerContext) {
        if isAnswering || !waiting.isEmpty { waiting.append(arrival) } else { handle(arrival, context) }
    }

    private func handle(_ arrival: Arrival, _ context: ChannelHandlerContext) {
        switch arrival {
        case .part(.head(let request)):
            if passedOn == 0 && Self.hasNoBody(request) {
                head = request
            } else {
                passedOn += 1
                context.fireChannelRead(wrapInboundOut(.head(request)))
            }
        case .part(.end(let trailers)):
            if let request = head {
                head = nil
                answer(request, context)
            } else {
                context.fireChannelRead(wrapInboundOut(.end(trailers)))
            }
        case .part(let body): context.fireChannelRead(wrapInboundOut(body))
        case .inputClosed(let event): context.fireUserInboundEventTriggered(event)
        case .error(let error): context.fireErrorCaught(error)
        }
    }

    /// Whether the request is complete with its head, and others may follow it on the connection.
    private static func hasNoBody(_ request: HTTPRequest) -> Bool {
        guard request.method == .get || request.method == .head || request.method == .delete else { return false }
        let fields = request.headerFields
        return fields[.contentLength] == nil && fields[.transferEncoding] == nil && fields[.upgrade] == nil
            && fields[.expect] == nil && fields[.connection].map { $0.lowercased() == "keep-alive" } ?? true
    }

    // MARK: What goes out

    /// Answers of Hummingbird.
    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) { passedOn -= 1 }
        context.write(data, promise: promise)
    }

    private func answer(_ request: HTTPRequest, _ context: ChannelHandlerContext) {
        isAnswering = true
        let channel = context.channel
        let place = Place(NIOLoopBound((self, context), eventLoop: context.eventLoop))
        let (responder, logger) = (responder, logger)
        let work: @Sendable () async -> Void = {
            do {
                let response = try await responder(
                    Request(head: request, body: RequestBody(buffer: ByteBuffer())),
                    CallContext(channel: channel, logger: logger))
                try await response.write(to: place)
                place.perform { $0.finish($1) }
            } catch {
                // The head is out and the rest can not follow: the client sees that it is cut short.
                logger.trace("an answer was not sent to its end", metadata: ["error": "\(error)"])
                channel.close(promise: nil)
            }
        }
        if #available(macOS 26, *) {
            Task.immediate(executorPreference: executor, operation: work)
        } else {
            Task(executorPreference: executor, operation: work)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if awaitsRoom && context.channel.isWritable {
            awaitsRoom = false
            finish(context)
        }
        context.fireChannelWritabilityChanged()
    }

    /// The answer is written: goes on with what came meanwhile, once there is room for more answers.
    private func finish(_ context: ChannelHandlerContext) {
        if !context.channel.isWritable && context.channel.isActive {
            awaitsRoom = true
            return
        }
        isAnswering = false
        // Whoever takes up already goes on with it.
        guard !isTakingUp else { return }
        isTakingUp = true
        let hasWaiting = !waiting.isEmpty
        while !isAnswering, let arrival = waiting.popFirst() { handle(arrival, context) }
        // What is passed on is taken up with the end of a read, and theirs was long ago.
        if hasWaiting { context.fireChannelReadComplete() }
        isTakingUp = false
        if owesRead && waiting.isEmpty {
            owesRead = false
            context.read()
        }
    }

    fileprivate func write(_ part: HTTPResponsePart, flush: Bool, _ context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(part), promise: nil)
        if flush { context.flush() }
    }
}

extension ConnectionDesk {
    /// A desk in its pipeline, for those who answer.
    fileprivate struct Place: Sendable {
        private let bound: NIOLoopBound<(ConnectionDesk, ChannelHandlerContext)>

        init(_ bound: NIOLoopBound<(ConnectionDesk, ChannelHandlerContext)>) { self.bound = bound }

        /// Acts on the connection's thread, at once when this is it.
        func perform(_ act: @escaping @Sendable (ConnectionDesk, ChannelHandlerContext) -> Void) {
            if bound.eventLoop.inEventLoop {
                act(bound.value.0, bound.value.1)
            } else {
                bound.eventLoop.execute { act(bound.value.0, bound.value.1) }
            }
        }

        /// Waits until there is room for more.
        func write(_ part: HTTPResponsePart) async throws {
            let promise = bound.eventLoop.makePromise(of: Void.self)
            perform { desk, context in
                if !context.channel.isActive {
                    promise.fail(ChannelError.ioOnClosedChannel)
                } else if context.channel.isWritable {
                    desk.write(part, flush: true, context)
                    promise.succeed()
                } else {
                    context.writeAndFlush(desk.wrapOutboundOut(part), promise: promise)
                }
            }
            try await promise.futureResult.get()
        }
    }

    /// Sends a body piece by piece.
    fileprivate struct Writer: ResponseBodyWriter {
        let place: Place
        /// The length of a body that comes as one piece, which goes out together with head and end.
        let wholeLength: Int?

        mutating func write(_ buffer: ByteBuffer) async throws {
            if buffer.readableBytes == wholeLength {
                place.perform { $0.write(.body(buffer), flush: false, $1) }
            } else {
                try await place.write(.body(buffer))
            }
        }

        consuming func finish(_ trailers: HTTPFields?) async throws {
            place.perform { $0.write(.end(trailers), flush: true, $1) }
        }
    }
}

extension Response {
    fileprivate func write(to place: ConnectionDesk.Place) async throws {
        var head = head
        head.headerFields[.date] = DateField.now
        let first = HTTPResponsePart.head(head)
        // Of a body that is made while it is sent nobody knows when it begins.
        let isKnown = body.contentLength != nil
        place.perform { $0.write(first, flush: !isKnown, $1) }
        try await body.write(ConnectionDesk.Writer(place: place, wholeLength: body.contentLength))
    }
}
