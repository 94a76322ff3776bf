import CouchDB
import GridData
import Logging
import ServiceLifecycle
import TokenPool

/// Keeps the replicas of the dispatcher's projects as their sources say, and brings files from tape; over HTTP, like any
/// other client of the store.
struct ReplicaService: Service {
    /// The store's URL, once it serves.
    let url: AsyncStream<String>
    let administrator: String
    let password: String
    /// The pool's.
    let database: String
    let configuration: ReplicaConfiguration
    /// The store's host when it is this process, which knows itself whatever its certificate names.
    let unverifiedHost: String?
    let logger: Logger

    func run() async throws {
        try await cancelWhenGracefulShutdown { try await serve() }
    }

    private func serve() async throws {
        guard let url = await url.first(where: { _ in true }) else { return }
        var access = try ServerConfiguration(url: url)
        access.credentials = .basic(user: administrator, password: password)
        access.proxy = ""
        access.tls.unverifiedHost = unverifiedHost
        access.maxConnections = 8
        let server = try Server(access)
        let projects = Projects(Pool(database: server.database(database), logger: logger))
        await withTaskGroup(of: Void.self) { group in
            if !configuration.sources.isEmpty {
                let sync = ReplicaSync(
                    projects, sources: configuration.sources, settings: configuration.sync, logger: logger)
                group.addTask { await sync.run() }
            }
            if !configuration.tape.isEmpty {
                let desk = StagingDesk(projects, places: configuration.tape, logger: logger)
                group.addTask { await desk.run() }
            }
        }
        await server.shutdown()
    }
}
