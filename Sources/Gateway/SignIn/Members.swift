import CouchDB
import CouchDocument
import Crypto
import HTTPTypes
import Synchronization
import TokenPool

/// Who is at the gateway: found out from tokens, remembered for a few seconds.
final class Members: Sendable {
    /// Somebody who signed in.
    struct Member: Sendable {
        let name: String
        let roles: [String]
        /// Server admins, and those whom the pool's database names as its admins.
        let isAdmin: Bool

        /// Whether the project is theirs to change.
        func rules(_ project: Project) -> Bool { isAdmin || project.owner == name }

        /// Whether they may work on its files.
        func worksOn(_ project: Project) -> Bool {
            rules(project) || project.users.contains(name) || roles.contains(where: project.roles.contains)
        }
    }

    private struct Known {
        let member: Member?
        let readAt: Timestamp
    }

    private let pool: Pool
    private let users: UserDirectory
    private let key: SymmetricKey
    /// Seconds that a token lives.
    private let lifetime: Double
    /// Protects who is known.
    private let known = Mutex<[String: Known]>([:])
    /// Protects the tokens that were read and found good.
    private let read = Mutex<[String: AccessToken]>([:])
    private static let lifetime = Duration.seconds(5)
    private static let capacity = 10_000

    init(pool: Pool, users: UserDirectory, secret: String, lifetime: Duration) {
        self.lifetime = lifetime / .seconds(1)
        self.pool = pool
        self.users = users
        key = SymmetricKey(data: SHA256.hash(data: Array("tokenpool dispatcher\n\(secret)".utf8)))
    }

    private var seconds: Double { Double(pool.clock.now().milliseconds) / 1000 }

    /// A token for somebody.
    ///
    /// - Parameter until: It ends no later, in seconds since 1970; `nil` after the usual time.
    func token(for user: String, until: Double? = nil) -> String {
        let now = seconds
        return AccessToken(user: user, expires: min(until ?? .infinity, now + lifetime)).text(key, now: now)
    }

    /// What a token says.
    func read(_ token: String) throws(GatewayRefusal) -> AccessToken {
        let now = seconds
        // Whoever works sends the same one with every request.
        if let read = read.withLock({ $0[token] }), read.expires > now { return read }
        let new = try AccessToken(token, key: key, now: now)
        read.withLock { read in
            if read.count >= Self.capacity { read = [:] }
            read[token] = new
        }
        return new
    }

    /// Who sends a request; `nil` when it shows no token.
    ///
    /// - Throws: 401 for a token that does not hold, or of somebody who is no more.
    func member(of headers: HTTPFields) async throws -> Member? {
        guard let text = Self.token(in: headers) else { return nil }
        let name = try read(text).user
        guard let member = try await member(name) else { throw GatewayRefusal(401, "user \(name) not found") }
        return member
    }

    /// Somebody has come or gone.
    func forget(_ name: String) { _ = known.withLock { $0.removeValue(forKey: name) } }

    /// Who has that name; `nil` when nobody does.
    func member(_ name: String) async throws -> Member? {
        let now = pool.clock.now()
        if let known = known.withLock({ $0[name] }), now - known.readAt < Self.lifetime { return known.member }
        var member: Member?
        if let user = try await users.user(name) {
            var isAdmin = user.roles.contains("_admin")
            if !isAdmin {
                let admins = try await pool.database.security().admins
                isAdmin = admins.names.contains(name) || user.roles.contains(where: admins.roles.contains)
            }
            member = Member(name: name, roles: user.roles, isAdmin: isAdmin)
        }
        known.withLock { known in
            if known.count >= Self.capacity { known = [:] }
            known[name] = Known(member: member, readAt: now)
        }
        return member
    }

    /// `X-Authentication-Token`, `Authorization: Bearer`, or the cookie `auth_token`.
    private static func token(in headers: HTTPFields) -> String? {
        if let name = HTTPField.Name("X-Authentication-Token"), let token = headers[name], !token.isEmpty {
            return token
        }
        if let header = headers[.authorization], header.lowercased().hasPrefix("bearer ") {
            return header.dropFirst(7).filter { $0 != " " }
        }
        for header in headers[values: .cookie] {
            for part in header.split(separator: ";") {
                let pair = part.drop { $0 == " " }
                if pair.hasPrefix("auth_token=") { return String(pair.dropFirst("auth_token=".count)) }
            }
        }
        return nil
    }
}
