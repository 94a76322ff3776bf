import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle

/// The listening socket: serves a ``CouchService``, or guest pages alone, until it is told to stop, then finishes what it
/// began.
package struct CouchHTTPServer: Service {
    private let responder: AnyResponder
    private let settings: Settings
    private let onStop: @Sendable () -> Void
    private let host: String
    private let port: Int
    private let mostConnections: Int
    private let security: TransportSecurity?
    private let logger: Logger
    private let onReady: @Sendable (_ port: Int) async -> Void

    /// - Parameters:
    ///   - port: 0 for any free one.
    ///   - mostConnections: What the process can bear, whatever the settings say.
    ///   - security: `nil`: without TLS.
    ///   - onReady: Called with the port once connections are taken.
    package init(
        service: CouchService, host: String, port: Int, mostConnections: Int, security: TransportSecurity?,
        logger: Logger,
        onReady: @escaping @Sendable (_ port: Int) async -> Void
    ) {
        let couch = CouchResponder(service: service)
        self.init(
            responder: AnyResponder { try await couch.respond(to: $0, context: $1) }, settings: service.settings,
            // Feeds would keep the server from stopping: they end as soon as it is asked to.
            onStop: { service.endFeeds() }, host: host, port: port, mostConnections: mostConnections,
            security: security,
            logger: logger, onReady: onReady)
    }

    /// Serves only these pages; all else is not found.
    package init(
        guest: any GuestPages, settings: Settings, host: String, port: Int, mostConnections: Int,
        security: TransportSecurity?, logger: Logger,
        onReady: @escaping @Sendable (_ port: Int) async -> Void
    ) {
        let responder = AnyResponder { request, context in
            guard CouchResponder.isBelow(guest.prefix, request) else { return Response(status: .notFound) }
            return try await guest.respond(to: request, over: context.channel)
        }
        self.init(
            responder: responder, settings: settings, onStop: {}, host: host, port: port,
            mostConnections: mostConnections, security: security, logger: logger, onReady: onReady)
    }

    private init(
        responder: AnyResponder, settings: Settings, onStop: @escaping @Sendable () -> Void, host: String, port: Int,
        mostConnections: Int, security: TransportSecurity?, logger: Logger,
        onReady: @escaping @Sendable (_ port: Int) async -> Void
    ) {
        self.security = security
        self.responder = responder
        self.settings = settings
        self.onStop = onStop
        self.host = host
        self.port = port
        self.mostConnections = mostConnections
        self.logger = logger
        self.onReady = onReady
    }

    package func run() async throws {
        let onReady = onReady
        let port = port
        let settings = settings
        let counter = ConnectionCounter { [mostConnections] in min(mostConnections, settings.limits.connections) }
        let requests = RequestCount()
        let own = responder
        let application = Application(
            responder: own,
            server: HTTPServerBuilder { [security] responder in
                ConnectionChannel(
                    http: HTTP1Channel(
                        responder: responder,
                        configuration: .init(
                            additionalChannelHandlers: [
                                ConnectionGuard(limits: settings.limits.pace, counter: counter),
                                ConnectionWatch(requests: requests),
                            ],
                            // Between two requests.
                            idleTimeout: .seconds(600))),
                    responder: own.answer, security: security)
            },
            configuration: .init(address: .hostname(host, port: port), backlog: 1024),
            onServerRunning: { channel in await onReady(channel.localAddress?.port ?? port) },
            logger: logger)
        let onStop = onStop
        try await withGracefulShutdownHandler {
            try await application.run()
        } onGracefulShutdown: {
            onStop()
        }
    }
}

/// Answers by a function.
private struct AnyResponder: HTTPResponder {
    let answer: @Sendable (Request, CallContext) async throws -> Response

    init(_ answer: @escaping @Sendable (Request, CallContext) async throws -> Response) { self.answer = answer }

    func respond(to request: Request, context: CallContext) async throws -> Response {
        try await answer(request, context)
    }
}
