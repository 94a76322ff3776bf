import CouchDocument
import Synchronization

/// Signs requests in.
final class Authentication: Sendable {
    /// What a request is signed in by: a header field.
    struct Proof: Sendable, Equatable {
        let name: String
        let value: String
        /// Renewed when the server no longer takes it.
        let isSession: Bool
    }

    private enum Method: Sendable {
        case none
        case fixed(Proof)
        case session(user: String, password: String)
    }

    private struct SessionState {
        var proof: Proof?
        var expires: ContinuousClock.Instant?
        /// The sign-in under way, which all requests wait for.
        var signIn: Task<Void, any Error>?
    }

    private let method: Method
    /// Protects the session's cookie, which any request may renew.
    private let state = Mutex(SessionState())

    init(_ credentials: Credentials?, address: ServerAddress) throws {
        switch credentials?.kind {
        case nil: method = .none
        case .basic(let user, let password): method = .fixed(Self.basic(user, password))
        case .bearer(let token):
            guard !token.utf8.contains(where: { $0 < 0x20 }) else {
                throw CouchDBError(
                    code: .badRequest, reason: "a bearer token can not have line ends in it", attempted: "signing in")
            }
            method = .fixed(Proof(name: "Authorization", value: "Bearer " + token, isSession: false))
        case .netrc(let path):
            let host = address.host.trimming(UInt8(ascii: "["))
            let entry: Netrc.Entry?
            do {
                entry = try Netrc(path: path).entry(for: host.trimming(UInt8(ascii: "]")))
            } catch {
                throw CouchDBError(code: .badRequest, reason: "\(error)", attempted: "signing in by .netrc")
            }
            guard let entry else {
                throw CouchDBError(
                    code: .badRequest,
                    reason: "\"\(path ?? "~/.netrc")\" has no entry for machine \(address.host) and no default",
                    attempted: "signing in by .netrc")
            }
            method = .fixed(Self.basic(entry.login, entry.password))
        case .cookie(let user, let password): method = .session(user: user, password: password)
        }
    }

    private static func basic(_ user: String, _ password: String) -> Proof {
        Proof(name: "Authorization", value: "Basic " + base64((user + ":" + password).utf8), isSession: false)
    }

    /// What to sign in by, without asking the server; `nil` also when a session is needed first.
    var readyProof: Proof? {
        switch method {
        case .none: nil
        case .fixed(let proof): proof
        case .session:
            state.withLock { state in
                guard let proof = state.proof, let expires = state.expires, ContinuousClock.now < expires else {
                    return nil
                }
                return proof
            }
        }
    }

    /// Whether ``prepare(_:)`` must be waited for.
    var needsSession: Bool {
        if case .session = method { readyProof == nil } else { false }
    }

    /// Signs in once for all who wait.
    ///
    /// - Parameter post: Sends `POST /_session` with that body.
    func prepare(_ post: @escaping @Sendable (JSON) async throws -> Response) async throws {
        guard case .session(let user, let password) = method else { return }
        let task = state.withLock { state in
            if let signIn = state.signIn { return signIn }
            let task = Task {
                defer { self.state.withLock { $0.signIn = nil } }
                let response = try await post(["name": .string(user), "password": .string(password)])
                self.adopt(response.headers)
                guard self.readyProof != nil else { throw response.badAnswer("it sets no AuthSession cookie") }
            }
            state.signIn = task
            return task
        }
        try await task.value
    }

    /// Forgets a session that the server no longer takes, unless it was renewed meanwhile.
    func forget(_ proof: Proof) {
        state.withLock { if $0.proof == proof { $0.proof = nil } }
    }

    /// Takes over a cookie that came with any answer: the server renews a session that is in use.
    func adopt(_ headers: HeaderFields) {
        guard case .session = method else { return }
        for field in headers.all("set-cookie") where field.hasPrefix("AuthSession=") {
            let parts = field.split(separator: ";").map { $0.trimmingSpaces }
            guard let pair = parts.first, pair.utf8.count > "AuthSession=".utf8.count else { continue }
            let age = parts.lazy.filter { $0.lowercased().hasPrefix("max-age=") }
                .compactMap { Int($0.dropFirst("max-age=".count)) }.first
            // CouchDB's sessions last 600 s unless told otherwise; the last tenth is left to clocks and slow requests.
            let life = Duration.seconds(age ?? 600) * 0.9
            state.withLock { state in
                state.proof = Proof(name: "Cookie", value: pair, isSession: true)
                state.expires = .now + life
            }
        }
    }
}

extension StringProtocol {
    /// Without spaces at the ends.
    fileprivate var trimmingSpaces: String { String(self).trimming(UInt8(ascii: " ")) }
}
