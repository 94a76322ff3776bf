import CouchServer
import CouchStore
import Gateway
import Logging
import Replication
import ServiceLifecycle
import UnixSignals

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Writes a text to a descriptor, past C's buffers; `false` when it can not be written.
@discardableResult
func put(_ text: String, on descriptor: Int32) -> Bool {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count <= 0 { return false }
        rest = rest.dropFirst(count)
    }
    return true
}

/// A line for people, on standard error.
func say(_ text: String) { put("tokenpoold: \(text)\n", on: STDERR_FILENO) }

/// One life of the daemon: opens the folder, serves, drains and closes.
struct Daemon {
    let options: TokenPoolDaemon
    var dispatcher: DispatcherConfiguration

    /// How long running requests may go on after SIGTERM, in seconds.
    static let grace = 20

    func run() async throws {
        let isLoopback =
            options.store != "embedded" || ["localhost", "::1"].contains(options.bind) || options.bind.hasPrefix("127.")
        if !isLoopback && options.adminPasswordFile == nil {
            throw StartRefusal(
                reason: "--bind \(options.bind) is reachable from other machines: give --admin-password-file too")
        }
        let descriptors = Self.raiseDescriptorLimit()
        let folder = try DataFolder(path: options.folder)
        let logger = Logger(label: "tokenpoold")
        var daemon = self
        daemon.dispatcher.signIn.trust = try gridTrust()
        let security = try transportSecurity()
        if options.store != "embedded" {
            do {
                try await daemon.serveGateway(
                    folder: folder, descriptors: descriptors, security: security, logger: logger)
            } catch {
                throw refusal(for: error)
            }
            return
        }
        let store: Store
        do {
            store = try await Store.open(folder: options.folder, logger: logger)
        } catch {
            throw StartRefusal(reason: "\(error)")
        }
        do {
            try await daemon.serve(
                store, folder: folder, descriptors: descriptors, security: security, logger: logger)
        } catch {
            await store.close()
            throw refusal(for: error)
        }
        await store.close()
    }

    /// Every connection and every open file takes a descriptor, and the usual soft limit of 1,024 is for programs that
    /// still use `select`.
    ///
    /// - Returns: How many there can be now.
    private static func raiseDescriptorLimit() -> Int {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { return 1024 }
        var raised = limit
        raised.rlim_cur = min(limit.rlim_max, 1 << 20)
        return Int(setrlimit(resource, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur)
    }

    private func serve(
        _ store: Store, folder: DataFolder, descriptors: Int, security: TransportSecurity?, logger: Logger
    ) async throws {
        let secret = try folder.line(of: "cookie-secret") { DataFolder.secret(byteCount: 32) }.line
        let password = try password(folder)
        let replicator = Replicator(nodeName: CouchService.nodeName, logger: logger, time: .system(wall: { time(nil) }))
        let directory = StoreUsers()
        let gateway =
            options.gateway
            ? PoolGateway(
                settings: gatewaySettings(secret: secret), users: directory.directory, logger: logger) : nil
        let service = CouchService(
            store: store, administrators: [Administrator(name: options.admin, password: password)],
            secret: secret, settings: try folder.settings(), replication: ReplicatorDesk(replicator: replicator),
            guest: gateway.map { GatewayPages(gateway: $0, isSecure: security != nil) }, isSecure: security != nil,
            logger: logger, clock: { time(nil) })
        directory.open(service.signIn)
        try await service.createSystemDatabases()
        let host = options.bind
        let descriptor = options.readyDescriptor
        let (urls, announced) = AsyncStream.makeStream(of: String.self)
        let (served, reached) = AsyncStream.makeStream(of: String.self)
        let (opened, open) = AsyncStream.makeStream(of: String.self)
        let (asked, ask) = AsyncStream.makeStream(of: String.self)
        let replication = ReplicationService(replicator: replicator) {
            guard let url = await served.first(where: { _ in true }) else { throw CancellationError() }
            return Self.access(to: service, at: url, host: Self.ownAddress(of: host))
        }
        // A quarter of the descriptors is kept for the files of databases, views and attachments.
        let server = CouchHTTPServer(
            service: service, host: host, port: options.port, mostConnections: descriptors / 4 * 3,
            security: security, logger: logger
        ) { port in
            let own = Self.url(Self.ownAddress(of: host), port, isSecure: security != nil)
            Self.announce("ready \(Self.url(host, port, isSecure: security != nil))\n", on: descriptor)
            announced.yield(own)
            reached.yield(own)
            open.yield(own)
            ask.yield(own)
        }
        // Ended in the opposite order: janitor and replications still have the server to write to.
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = [
            .init(service: server), .init(service: replication), .init(service: MemoryReturn()),
        ]
        if let gateway {
            let opening = GatewayService(
                gateway: gateway, url: opened, administrator: options.admin, password: password, store: service,
                sweeps: options.janitor, unverifiedHost: Self.ownAddress(of: host), logger: logger)
            services.append(.init(service: opening))
        }
        services += replicaService(asked, administrator: options.admin, password: password, logger: logger)
        if let watch = certificateWatch(security, logger) { services.append(.init(service: watch)) }
        if options.janitor {
            let janitor = JanitorService(
                url: urls, administrator: options.admin, password: password,
                unverifiedHost: Self.ownAddress(of: host), logger: logger)
            services.append(.init(service: janitor))
        }
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(Self.grace)
        try await ServiceGroup(configuration: configuration).run()
    }

    static func url(_ host: String, _ port: Int, isSecure: Bool) -> String {
        "\(isSecure ? "https" : "http")://\(host.contains(":") ? "[\(host)]" : host):\(port)"
    }

    /// Where the daemon itself reaches what listens there.
    private static func ownAddress(of host: String) -> String {
        switch host {
        case "0.0.0.0": "127.0.0.1"
        case "::": "::1"
        default: host
        }
    }

    func gatewaySettings(secret: String) -> PoolGateway.Settings {
        PoolGateway.Settings(
            database: options.dispatcherDatabase, secret: secret, isPrivate: options.dispatcherPrivate,
            signIn: dispatcher.signIn)
    }

    /// Who keeps replicas up to date, where the dispatcher is served and somebody is named who knows them.
    func replicaService(
        _ url: AsyncStream<String>, administrator: String, password: String, logger: Logger
    ) -> [ServiceGroupConfiguration.ServiceConfiguration] {
        guard options.gateway, !dispatcher.replicas.isEmpty else { return [] }
        let service = ReplicaService(
            url: url, administrator: administrator, password: password, database: options.dispatcherDatabase,
            configuration: dispatcher.replicas,
            unverifiedHost: options.store == "embedded" ? Self.ownAddress(of: options.bind) : nil, logger: logger)
        return [.init(service: service)]
    }

    private func password(_ folder: DataFolder) throws -> String {
        if let file = options.adminPasswordFile { return try DataFolder.firstLine(of: file) }
        let (password, isNew) = try folder.line(of: "admin-password") { DataFolder.secret(byteCount: 16) }
        if isNew { say("made a password for \(options.admin): it is in \(folder.path)/admin-password") }
        return password
    }

    /// How the replicator reaches the databases of this server: as a client, in the name of who asked.
    private static func access(to service: CouchService, at url: String, host: String) -> LocalAccess {
        let signIn = service.signIn
        return LocalAccess(
            url: url, host: host, uuid: service.store.uuid,
            token: { signIn.ownToken(name: $0.name, roles: $0.roles) },
            account: { name in
                try await signIn.account(named: name).map { ReplicationAccount(name: $0.name, roles: $0.roles) }
            },
            databases: { service.replicatorDatabases() },
            schedule: {
                let limits = service.replicatorLimits
                return ReplicationSchedule(
                    mostJobs: limits.jobs, mostChurn: limits.churn, interval: .milliseconds(limits.interval),
                    longestHistory: limits.history,
                    shares: ReplicationShares.Rules(
                        shares: limits.shares, usageLeft: limits.usageLeft, priorityLeft: limits.priorityLeft),
                    retry: ReplicationRetry(
                        firstPause: .milliseconds(limits.firstPause), longestPause: .milliseconds(limits.longestPause),
                        health: .seconds(limits.health)))
            })
    }

    static func announce(_ line: String, on descriptor: Int32?) {
        put(line, on: STDOUT_FILENO)
        guard let descriptor else { return }
        if !put(line, on: descriptor) {
            say("can not write to --ready-fd \(descriptor): \(String(cString: strerror(errno)))")
        }
        close(descriptor)
    }

    /// Turns what went wrong into one line.
    private func refusal(for error: any Error) -> any Error {
        if error is StartRefusal { return error }
        let place = "\(options.bind):\(options.port)"
        let text = "\(error)"
        if text.contains("errno: \(EADDRINUSE)") || text.contains("Address already in use") {
            return StartRefusal(reason: "\(place) is in use by another program: stop it or choose another --port")
        }
        return StartRefusal(reason: "can not serve on \(place): \(text)")
    }
}
