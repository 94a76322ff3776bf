import CouchDocument
import Crypto
import FoundationEssentials
import HTTPTypes
import Synchronization

/// A server admin, known from the command line and not from `_users`.
package struct Administrator: Sendable {
    package let name: String
    package let password: String

    package init(name: String, password: String) {
        self.name = name
        self.password = password
    }
}

/// Finds out who sends a request: Basic or cookie, against the administrators and the documents in `_users`.
///
/// A password that was once checked is remembered as a keyed hash, for CouchDB's 600,000 rounds on every request would
/// leave nothing for the work. What is remembered of users is dropped when `_users` changes.
package final class SignIn: Sendable {
    /// Reads a user document by the user's name; `nil` when there is none.
    package typealias UserLookup = @Sendable (_ name: String) async throws -> JSONObject?

    private struct Known: Sendable {
        let proof: [UInt8]
        let account: Account
    }
    private struct User: Sendable {
        let roles: [String]
        let salt: String
    }
    private struct Memory {
        var passwords: [String: Known] = [:]
        var users: [String: User] = [:]
        /// Rises with every change of `_users`: a check that began before is not remembered.
        var generation = 0
    }

    private let administrators: [Administrator]
    /// For each administrator: what the right password gives.
    private let proofs: [[UInt8]]
    private let secret: String
    private let proofKey = SymmetricKey(size: .bits256)
    /// Signs what the server says to itself, for this life only.
    private let ownKey = SymmetricKey(size: .bits256)
    private static let ownKeyID = "_tokenpoold"
    private let settings: Settings
    private let lookup: UserLookup
    private let lockout = Lockout()
    /// Protects what is remembered of users and their passwords.
    private let memory = Mutex(Memory())
    private static let capacity = 10_000

    /// - Parameter secret: Seals cookies; the same after a restart, so that sessions go on.
    package init(administrators: [Administrator], secret: String, settings: Settings, lookup: @escaping UserLookup) {
        self.administrators = administrators
        self.settings = settings
        let key = proofKey
        proofs = administrators.map { Self.proof($0.name, $0.password, key) }
        self.secret = secret
        self.lookup = lookup
    }

    /// Forgets users and passwords: `_users` has changed.
    package func forgetUsers() {
        memory.withLock {
            $0.passwords.removeAll()
            $0.users.removeAll()
            $0.generation += 1
        }
    }

    /// Who sends this, and the cookie that renews the session if it is time for that.
    func account(of call: Call, now: Int) async throws -> (account: Account, cookie: String?) {
        if let value = Self.cookie(call.headers), let cookie = try SessionCookie(value),
            let user = try await sessionUser(cookie.user),
            cookie.isValid(secret: secret, salt: user.salt, now: now)
        {
            let renewed = cookie.isAging(now: now) ? sessionHeader(cookie.user, salt: user.salt, now: now) : nil
            return (Account(name: cookie.user, roles: user.roles, handler: "cookie"), renewed)
        }
        if let account = try bearer(call.headers, now: now) { return (account, nil) }
        guard let pair = try Self.basic(call.headers) else { return (.nobody, nil) }
        let account = try await check(name: pair.name, password: pair.password, peer: call.peer, now: now)
        return (account, nil)
    }

    /// A token by which the server's own services sign in over HTTP, until it stops.
    package func ownToken(name: String?, roles: [String]) -> String {
        let claims: JSONObject = [
            "sub": name.map(JSON.string) ?? .null, "roles": .array(roles.map(JSON.string)),
        ]
        return BearerToken.make(claims, keyID: Self.ownKeyID, key: ownKey)
    }

    /// Who has that name now; `nil` when nobody does.
    package func account(named name: String) async throws -> Account? {
        try await sessionUser(name).map { Account(name: name, roles: $0.roles, handler: nil) }
    }

    /// Who signs in by a token. Without keys in the settings there is no such sign-in, as in CouchDB without the handler.
    private func bearer(_ headers: HTTPFields, now: Int) throws(Refusal) -> Account? {
        guard let header = headers[.authorization], header.lowercased().hasPrefix("bearer ") else { return nil }
        let isConfigured = settings.all["jwt_keys"]?.isEmpty == false
        let token: BearerToken
        do {
            token = try BearerToken(header.dropFirst(7).filter { $0 != " " })
        } catch {
            if isConfigured { throw error }
            return nil
        }
        if token.keyID == Self.ownKeyID {
            guard let account = token.ownAccount(ownKey) else { throw .badRequest("Bad signature") }
            return account
        }
        return isConfigured ? try token.account(settings, now: now) : nil
    }

    /// Checks a name and a password.
    ///
    /// - Throws: 401 for a wrong pair, 403 when the name is locked out from that address.
    func check(name: String, password: String, peer: String, now: Int) async throws -> Account {
        if lockout.isLocked(name, peer: peer, now: now) { throw Lockout.refusal }
        guard let account = try await verified(name: name, password: password) else {
            lockout.failed(name, peer: peer, now: now)
            throw Refusal.wrongPassword
        }
        return account
    }

    /// The header that begins a session of this user.
    func sessionHeader(for name: String, now: Int) async throws -> String {
        guard let user = try await sessionUser(name) else { throw Refusal.wrongPassword }
        return sessionHeader(name, salt: user.salt, now: now)
    }

    private func sessionHeader(_ name: String, salt: String, now: Int) -> String {
        SessionCookie.header(user: name, secret: secret, salt: salt, now: now)
    }

    private static func proof(_ name: String, _ password: String, _ key: SymmetricKey) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: Array("\(name)\u{0}\(password)".utf8), using: key))
    }

    private func verified(name: String, password: String) async throws -> Account? {
        let proof = Self.proof(name, password, proofKey)
        if let place = administrators.firstIndex(where: { $0.name == name }) {
            guard PasswordHash.isEqual(proof, proofs[place]) else { return nil }
            return Account(name: name, roles: ["_admin"], handler: "default")
        }
        let (known, generation) = memory.withLock { ($0.passwords[name], $0.generation) }
        if let known, PasswordHash.isEqual(known.proof, proof) { return known.account }
        guard let document = try await lookup(name), let hash = PasswordHash(user: document),
            try await hash.accepts(password)
        else { return nil }
        let account = Account(name: name, roles: Self.roles(document), handler: "default")
        memory.withLock {
            guard $0.generation == generation else { return }
            if $0.passwords.count >= Self.capacity { $0.passwords.removeAll() }
            $0.passwords[name] = Known(proof: proof, account: account)
        }
        return account
    }

    private func sessionUser(_ name: String) async throws -> User? {
        if let administrator = administrators.first(where: { $0.name == name }) {
            // Nothing of the password can be learned from a session, yet a new password ends it.
            let key = SymmetricKey(data: Array(secret.utf8))
            let salt = HMAC<SHA256>.authenticationCode(for: Array(administrator.password.utf8), using: key)
            return User(roles: ["_admin"], salt: hexadecimal(salt))
        }
        let (known, generation) = memory.withLock { ($0.users[name], $0.generation) }
        if let known { return known }
        guard let document = try await lookup(name), let salt = document["salt"]?.stringValue else { return nil }
        let user = User(roles: Self.roles(document), salt: salt)
        memory.withLock {
            guard $0.generation == generation else { return }
            if $0.users.count >= Self.capacity { $0.users.removeAll() }
            $0.users[name] = user
        }
        return user
    }

    private static func roles(_ document: JSONObject) -> [String] {
        // Roles with an underscore are the server's own and never come from a document.
        document["roles"]?.arrayValue?.compactMap(\.stringValue).filter { !$0.hasPrefix("_") } ?? []
    }

    private static func cookie(_ headers: HTTPFields) -> String? {
        for header in headers[values: .cookie] {
            for part in header.split(separator: ";") {
                let pair = part.drop { $0 == " " }
                guard pair.hasPrefix(SessionCookie.name + "=") else { continue }
                let value = pair.dropFirst(SessionCookie.name.count + 1)
                return value.filter { $0 != "\"" }
            }
        }
        return nil
    }

    private static func basic(_ headers: HTTPFields) throws(Refusal) -> (name: String, password: String)? {
        guard let header = headers[.authorization], header.lowercased().hasPrefix("basic ") else { return nil }
        let text = header.dropFirst(6).filter { $0 != " " }
        guard let data = Data(base64Encoded: text) else {
            throw .badRequest("Authorization header has invalid base64 value")
        }
        let parts = data.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        return (String(decoding: parts[0], as: UTF8.self), String(decoding: parts[1], as: UTF8.self))
    }
}
