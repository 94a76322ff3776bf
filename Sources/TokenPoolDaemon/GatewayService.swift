import CouchDB
import CouchServer
import Gateway
import Hummingbird
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import TokenPool

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Opens the gateway once the store serves, and watches what becomes due in its pool.
struct GatewayService: Service {
    let gateway: PoolGateway
    /// The store's URL, once it serves.
    let url: AsyncStream<String>
    let administrator: String
    let password: String
    /// The store, when it is in this process.
    var store: CouchService?
    /// Whether to act on what becomes due.
    let sweeps: Bool
    /// The store's host when it is this process, which knows itself whatever its certificate names.
    let unverifiedHost: String?
    let logger: Logger

    func run() async throws {
        try await cancelWhenGracefulShutdown { try await serve() }
    }

    private func serve() async throws {
        guard let url = await url.first(where: { _ in true }) else { return }
        var configuration = try ServerConfiguration(url: url)
        configuration.credentials = .basic(user: administrator, password: password)
        configuration.proxy = ""
        configuration.near = store.map { NearServer(to: $0, as: administrator) }
        configuration.tls.unverifiedHost = unverifiedHost
        let server = try Server(configuration)
        let watch = DeadlineWatch()
        let pool = gateway.open(server) { watch.note($0) }
        defer { gateway.endWaiting() }
        if sweeps { await watch.run(pool, logger: logger) }
        // Requests that are under way still need the server; its handle ends with the last of them.
        while !Task.isCancelled { do { try await Task.sleep(for: .seconds(3600)) } catch { break } }
    }
}

extension NearServer {
    /// The store in this process, in the name of its admin.
    fileprivate init(to service: CouchService, as administrator: String) {
        self.init { question in
            let answer = try await service.answer(
                near: question.method, question.target, headers: question.headers, body: question.body,
                as: administrator)
            return Answer(
                status: answer.status, headers: answer.headers.map { ($0.name.rawName, $0.value) }, body: answer.body)
        }
    }
}

/// The gateway as pages of the store's own server.
struct GatewayPages: GuestPages {
    let gateway: PoolGateway
    /// Whether they are served over TLS.
    let isSecure: Bool
    var prefix: String { PoolGateway.prefix }

    func respond(to request: Request, over channel: any Channel) async throws -> Response {
        let client = GatewayClient(
            address: channel.remoteAddress?.ipAddress ?? "local", isSecure: isSecure,
            certificates: { try await channel.clientCertificates() },
            whenGone: { channel.whenClientHangsUp($0) })
        return try await gateway.respond(to: request, from: client)
    }
}

/// The users of the store in this process, who are there once it is.
final class StoreUsers: Sendable {
    // Protects the sign-in, which is made after the gateway.
    private let signIn = Mutex<SignIn?>(nil)

    func open(_ signIn: SignIn) { self.signIn.withLock { $0 = signIn } }

    var directory: UserDirectory {
        UserDirectory(
            check: { [self] name, password, peer in
                guard let signIn = signIn.withLock({ $0 }) else { return .wrong }
                do {
                    _ = try await signIn.check(name: name, password: password, peer: peer, now: time(nil))
                    return .right
                } catch let refusal as Refusal {
                    switch refusal.status {
                    case 401: return .wrong
                    case 403: return .locked
                    default: throw refusal
                    }
                }
            },
            guesses: GuessCount(
                admit: { [self] name, peer in
                    signIn.withLock({ $0 })?.admitGuess(name, peer: peer, now: time(nil)) ?? false
                },
                passed: { [self] name, peer in signIn.withLock { $0 }?.passedGuess(name, peer: peer) }),
            user: { [self] name in
                guard let signIn = signIn.withLock({ $0 }), let account = try await signIn.account(named: name) else {
                    return nil
                }
                return UserDirectory.User(
                    name: name, roles: account.roles, hasPassword: try await signIn.hasPassword(name))
            })
    }
}
