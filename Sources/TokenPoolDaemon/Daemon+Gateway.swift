import CouchDB
import CouchServer
import Gateway
import Logging
import ServiceLifecycle
import UnixSignals

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

extension Daemon {
    /// Wrong passwords as this process sees them.
    private static func guesses() -> GuessCount {
        let lockout = Lockout()
        return GuessCount(
            admit: { lockout.admit($0, peer: $1, now: time(nil), Lockout.Rule()) },
            passed: { lockout.passed($0, peer: $1) })
    }

    /// Serves the gateway alone, in front of another server.
    func serveGateway(
        folder: DataFolder, descriptors: Int, security: TransportSecurity?, logger: Logger
    ) async throws {
        let configuration: ServerConfiguration
        do { configuration = try ServerConfiguration(url: options.store) } catch {
            throw StartRefusal(reason: "--store \(options.store): \(error)")
        }
        let file = options.storePasswordFile
        guard let (name, written) = configuration.namedUser,
            let password = try file.map({ file in try DataFolder.firstLine(of: file) }) ?? written
        else {
            throw StartRefusal(
                reason: "--store \(configuration.url): name its admin, http://ADMIN@HOST, and --store-password-file")
        }
        let url = configuration.url
        var signedIn = configuration
        signedIn.credentials = .basic(user: name, password: password)
        signedIn.logger = logger
        let server = try Server(signedIn)
        let secret = try folder.line(of: "cookie-secret") { DataFolder.secret(byteCount: 32) }.line
        let gateway = PoolGateway(
            settings: gatewaySettings(secret: secret),
            users: try UserDirectory.over(server, administrator: name, guesses: Self.guesses()),
            logger: logger)
        let (urls, announced) = AsyncStream.makeStream(of: String.self)
        let (opened, open) = AsyncStream.makeStream(of: String.self)
        let (asked, ask) = AsyncStream.makeStream(of: String.self)
        let host = options.bind
        let descriptor = options.readyDescriptor
        let http = CouchHTTPServer(
            guest: GatewayPages(gateway: gateway, isSecure: security != nil), settings: try folder.settings(),
            host: host, port: options.port,
            mostConnections: descriptors / 4 * 3, security: security, logger: logger
        ) { port in
            open.yield(url)
            announced.yield(url)
            ask.yield(url)
            Self.announce("ready \(Self.url(host, port, isSecure: security != nil))\n", on: descriptor)
        }
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = [
            .init(service: http),
            .init(
                service: GatewayService(
                    gateway: gateway, url: opened, administrator: name, password: password, sweeps: options.janitor,
                    unverifiedHost: nil, logger: logger)),
        ]
        services += replicaService(asked, administrator: name, password: password, logger: logger)
        if let watch = certificateWatch(security, logger) { services.append(.init(service: watch)) }
        if options.janitor {
            services.append(
                .init(
                    service: JanitorService(
                        url: urls, administrator: name, password: password, unverifiedHost: nil, logger: logger)))
        }
        var group = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        group.maximumGracefulShutdownDuration = .seconds(Self.grace)
        try await ServiceGroup(configuration: group).run()
    }
}
