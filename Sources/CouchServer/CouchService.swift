import CouchDocument
import CouchStore
import Hummingbird
import Logging
import NIOCore

/// The CouchDB HTTP API over a store: routing, sign-in and the rules about who may do what.
package final class CouchService: Sendable {
    /// Clients choose their ways by this version.
    package static let couchVersion = "3.5.0"
    package static let productVersion = "0.1.0"
    static let serverName = "CouchDB/\(couchVersion) (tokenpool/\(productVersion))"

    package let store: Store
    package let signIn: SignIn
    package let logger: Logger
    let settings: Settings
    let replication: any ReplicationDesk
    /// Who serves pages beside the databases.
    let guest: (any GuestPages)?
    /// Whether it is served over TLS.
    let isSecure: Bool
    let uuids = UUIDs()
    let feeds: EndSignal
    let events: DatabaseEvents
    let figures = ServerFigures()
    /// When the server began.
    let start: Int
    let workload: Workload
    let administrators: Administrators
    /// Seconds since 1970.
    let clock: @Sendable () -> Int
    package static let nodeName = "tokenpoold@127.0.0.1"

    /// - Parameters:
    ///   - administrators: Beside those in the settings.
    ///   - secret: Seals session cookies.
    package init(
        store: Store, administrators: [Administrator], secret: String, settings: Settings,
        replication: any ReplicationDesk, guest: (any GuestPages)? = nil, isSecure: Bool = false, logger: Logger,
        clock: @escaping @Sendable () -> Int
    ) {
        self.guest = guest
        self.isSecure = isSecure
        self.store = store
        self.logger = logger
        self.settings = settings
        self.replication = replication
        self.clock = clock
        feeds = EndSignal()
        start = clock()
        events = DatabaseEvents(databases: store.databaseNames(), start: start * 1_000_000)
        workload = Workload { settings.limits.workload }
        self.administrators = Administrators(given: administrators, settings: settings)
        signIn = SignIn(administrators: self.administrators, settings: settings, secret: secret, isSecure: isSecure) {
            name in
            try await UserDocuments.read(name, in: store)
        }
    }

    /// The databases whose documents are replications, now and whenever databases were made or deleted.
    package func replicatorDatabases() -> AsyncStream<Set<String>> {
        let (names, continuation) = AsyncStream<Set<String>>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let changes = events.listChanges()
        let task = Task {
            for await _ in changes {
                continuation.yield(Set(store.databaseNames().filter(DatabaseName.isReplicator)))
            }
            continuation.finish()
        }
        continuation.onTermination = { _ in task.cancel() }
        return names
    }

    /// How many replications run at once, and how they take turns.
    package var replicatorLimits: ReplicatorLimits { settings.limits.replicator }

    /// Creates the databases that every server has.
    package func createSystemDatabases() async throws {
        for name in ["_users", "_replicator"] where !store.databaseNames().contains(name) {
            _ = try await store.createDatabase(name)
            events.note(name, .created)
        }
    }

    /// Ends the feeds that would otherwise keep their connections for ever.
    package func endFeeds() { feeds.end() }

    /// Answers a request; refusals are thrown.
    ///
    /// - Parameter known: Who sends it; `nil` looks what the request shows.
    func answer(_ call: Call, as known: Account? = nil) async throws -> Answer {
        var call = call
        var cookie: String?
        if let known {
            call.account = known
        } else {
            (call.account, cookie) = try await signIn.account(of: call, now: clock())
        }
        if settings.limits.requiresUser && call.account.name == nil
            && !Self.openPages.contains(call.path.segments.first ?? "")
        {
            throw Refusal.unauthorized("Authentication required.")
        }
        var answer: Answer
        do {
            answer = try await (call.hasLargeBody ? routeAside(call) : route(call))
        } catch var refusal as Refusal {
            if let cookie { refusal.headers.append(("Set-Cookie", cookie)) }
            throw refusal
        } catch let error as StoreError {
            throw Refusal(error)
        }
        if let cookie, answer.headers[.setCookie] == nil { answer.headers[.setCookie] = cookie }
        return answer
    }

    /// Routes a request whose body takes long to read, so that the connection's thread is free for others.
    private func routeAside(_ call: Call) async throws -> Answer {
        try await withTaskExecutorPreference(globalConcurrentExecutor) { try await route(call) }
    }

    /// What can be read without signing in even where everybody must.
    private static let openPages: Set<String> = ["", "_session", "_up"]

    private func route(_ call: Call) async throws -> Answer {
        let segments = call.path.segments
        let server = ServerRoutes(service: self, call: call)
        guard let name = segments.first else { return try server.welcome() }
        if name == "favicon.ico" && segments.count == 1 {
            return Answer(404, contentType: "text/plain", .bytes(Array("Not found.".utf8)))
        }
        if name.hasPrefix("_"), let answer = try await server.answer() { return answer }
        if segments.count == 1 {
            switch call.method {
            case "PUT": return try await DatabaseRoutes.create(name, service: self, call: call)
            case "DELETE": return try await DatabaseRoutes.delete(name, service: self, call: call)
            default: break
            }
        }
        guard let database = try await store.database(name) else { throw Refusal.noDatabase }
        let here = DatabaseCall(service: self, call: call, database: database)
        return try await here.answer()
    }
}
