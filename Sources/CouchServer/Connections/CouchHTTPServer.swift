import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle

/// The listening socket: serves a ``CouchService`` until it is told to stop, then finishes what it began.
package struct CouchHTTPServer: Service {
    let service: CouchService
    let host: String
    let port: Int
    let mostConnections: Int
    let logger: Logger
    let onReady: @Sendable (_ port: Int) async -> Void

    /// - Parameters:
    ///   - port: 0 for any free one.
    ///   - mostConnections: What the process can bear, whatever the settings say.
    ///   - onReady: Called with the port once connections are taken.
    package init(
        service: CouchService, host: String, port: Int, mostConnections: Int, logger: Logger,
        onReady: @escaping @Sendable (_ port: Int) async -> Void
    ) {
        self.service = service
        self.host = host
        self.port = port
        self.mostConnections = mostConnections
        self.logger = logger
        self.onReady = onReady
    }

    package func run() async throws {
        let onReady = onReady
        let port = port
        let service = service
        let counter = ConnectionCounter { [mostConnections] in
            min(mostConnections, service.settings.limits.connections)
        }
        let requests = RequestCount()
        let application = Application(
            responder: CouchResponder(service: service),
            server: HTTPServerBuilder { responder in
                ConnectionChannel(
                    http: HTTP1Channel(
                        responder: responder,
                        configuration: .init(
                            additionalChannelHandlers: [
                                ConnectionGuard(limits: service.settings.limits.pace, counter: counter),
                                ConnectionWatch(requests: requests),
                            ],
                            // Between two requests.
                            idleTimeout: .seconds(600))))
            },
            configuration: .init(address: .hostname(host, port: port), backlog: 1024),
            onServerRunning: { channel in await onReady(channel.localAddress?.port ?? port) },
            logger: logger)
        // Feeds would keep the server from stopping: they end as soon as it is asked to.
        try await withGracefulShutdownHandler {
            try await application.run()
        } onGracefulShutdown: {
            service.endFeeds()
        }
    }
}
