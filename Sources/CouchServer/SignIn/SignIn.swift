import CouchDocument
import Crypto
import FoundationEssentials
import HTTPTypes
import Synchronization
import WebTokens

/// Finds out who sends a request: Basic or cookie, against the administrators and the documents in `_users`.
///
/// A password that was once checked is remembered as a keyed hash, right or wrong, and checks of the same password at one
/// time are one: CouchDB's 600,000 rounds on every request would leave nothing for the work. What is remembered is
/// dropped when `_users` or the admins change.
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
        /// Proofs of wrong passwords.
        var wrong: Set<[UInt8]> = []
        /// What is being checked, by proof.
        var checks: [[UInt8]: Task<Account?, any Error>] = [:]
        /// Rises with every change of `_users`: a check that began before is not remembered.
        var generation = 0
    }

    private let administrators: Administrators
    private let settings: Settings
    /// For each admin of the command line: what the right password gives.
    private let proofs: [String: [UInt8]]
    private let secret: String
    /// Whether cookies are for TLS alone, as CouchDB has it.
    private let isSecure: Bool
    private let proofKey = SymmetricKey(size: .bits256)
    /// Signs what the server says to itself, for this life only.
    private let ownKey = SymmetricKey(size: .bits256)
    private static let ownKeyID = "_tokenpoold"
    private let lookup: UserLookup
    private let lockout = Lockout()
    /// Protects what is remembered of users and their passwords.
    private let memory = Mutex(Memory())
    private static let capacity = 10_000

    /// - Parameter secret: Seals cookies; the same after a restart, so that sessions go on.
    init(
        administrators: Administrators, settings: Settings, secret: String, isSecure: Bool = false,
        lookup: @escaping UserLookup
    ) {
        self.isSecure = isSecure
        self.administrators = administrators
        self.settings = settings
        let key = proofKey
        proofs = Dictionary(
            administrators.given.map { ($0.name, Self.proof($0.name, $0.password, key)) }, uniquingKeysWith: { $1 })
        self.secret = secret
        self.lookup = lookup
    }

    /// Forgets users and passwords: `_users` or the admins have changed.
    package func forgetUsers() {
        memory.withLock {
            $0.passwords.removeAll()
            $0.users.removeAll()
            $0.wrong.removeAll()
            $0.checks.removeAll()
            $0.generation += 1
        }
    }

    /// Who sends this, and the cookie that renews the session if it is time for that.
    func account(of call: Call, now: Int) async throws -> (account: Account, cookie: String?) {
        if let value = Self.cookie(call.headers), let cookie = try SessionCookie(value),
            let user = try await sessionUser(cookie.user),
            cookie.isValid(secret: secret, salt: user.salt, now: now, lifetime: settings.limits.session)
        {
            let renewed =
                cookie.isAging(now: now, lifetime: settings.limits.session)
                ? sessionHeader(cookie.user, salt: user.salt, now: now) : nil
            return (Account(name: cookie.user, roles: user.roles, handler: "cookie"), renewed)
        }
        guard let header = call.headers[.authorization] else { return (.nobody, nil) }
        if let account = try bearer(header, now: now) { return (account, nil) }
        guard let pair = try Self.basic(header) else { return (.nobody, nil) }
        let account = try await check(name: pair.name, password: pair.password, peer: call.peer, now: now)
        return (account, nil)
    }

    /// A token by which the server's own services sign in over HTTP, until it stops.
    package func ownToken(name: String?, roles: [String]) -> String {
        let claims: JSONObject = [
            "sub": name.map(JSON.string) ?? .null, "roles": .array(roles.map(JSON.string)),
        ]
        return WebToken.make(claims, keyID: Self.ownKeyID, key: ownKey)
    }

    /// Who has that name now; `nil` when nobody does.
    package func account(named name: String) async throws -> Account? {
        if let user = try await sessionUser(name) { return Account(name: name, roles: user.roles, handler: nil) }
        // Without a password there are no sessions, but somebody there is, who signs in elsewhere.
        guard let document = try await lookup(name) else { return nil }
        return Account(name: name, roles: Self.roles(document), handler: nil)
    }

    /// Whether somebody of that name has a password here.
    package func hasPassword(_ name: String) async throws -> Bool { try await sessionUser(name) != nil }

    /// Who signs in by a token. Without keys in the settings there is no such sign-in, as in CouchDB without the handler.
    private func bearer(_ header: String, now: Int) throws(Refusal) -> Account? {
        guard Self.names("bearer ", header) else { return nil }
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
    package func check(name: String, password: String, peer: String, now: Int) async throws -> Account {
        let rule = settings.limits.lockout
        if lockout.isLocked(name, peer: peer, now: now, rule) { throw Lockout.refusal }
        let proof = Self.proof(name, password, proofKey)
        switch remembered(name, proof) {
        case .some(let account?): return account
        case .some(nil):
            lockout.failed(name, peer: peer, now: now, rule)
            throw Refusal.wrongPassword
        case nil: break
        }
        // A new one is counted before the outcome is known, so that many guesses at once are no way around the lock.
        let found = shared(proof, name: name, password: password) {
            lockout.admit(name, peer: peer, now: now, rule)
        }
        guard let (check, isNew) = found else { throw Lockout.refusal }
        let account: Account?
        do {
            account = try await check.value
        } catch {
            if isNew { lockout.passed(name, peer: peer) }
            throw error
        }
        guard let account else {
            if !isNew { lockout.failed(name, peer: peer, now: now, rule) }
            throw Refusal.wrongPassword
        }
        if isNew { lockout.passed(name, peer: peer) }
        return account
    }

    /// Counts a guess that is looked at elsewhere as wrong, until ``passedGuess(_:peer:)`` takes it back.
    ///
    /// - Returns: Whether it may be looked at.
    package func admitGuess(_ name: String, peer: String, now: Int) -> Bool {
        lockout.admit(name, peer: peer, now: now, settings.limits.lockout)
    }

    /// A guess that was admitted was right, or could not be looked at.
    package func passedGuess(_ name: String, peer: String) { lockout.passed(name, peer: peer) }

    /// What is known of a password without work: whose it is, or that it is nobody's.
    private func remembered(_ name: String, _ proof: [UInt8]) -> Account?? {
        if let right = proofs[name] {
            return .some(PasswordHash.isEqual(proof, right) ? Self.administrator(name) : nil)
        }
        return memory.withLock { memory in
            if let known = memory.passwords[name], PasswordHash.isEqual(known.proof, proof) { return known.account }
            return memory.wrong.contains(proof) ? .some(nil) : nil
        }
    }

    /// The check of a password, which may be under way already; `nil` when it is new and not admitted.
    private func shared(
        _ proof: [UInt8], name: String, password: String, admit: () -> Bool
    ) -> (Task<Account?, any Error>, isNew: Bool)? {
        memory.withLock { memory in
            if let check = memory.checks[proof] { return (check, false) }
            guard admit() else { return nil }
            let generation = memory.generation
            let check = Task { [self] in
                let outcome: Account??
                defer { remember(name, proof, outcome, generation: generation) }
                do {
                    let account = try await verified(name: name, password: password)
                    outcome = account
                    return account
                } catch {
                    outcome = nil
                    throw error
                }
            }
            memory.checks[proof] = check
            return (check, true)
        }
    }

    /// - Parameter outcome: `nil` when the check failed for other reasons than the password.
    private func remember(_ name: String, _ proof: [UInt8], _ outcome: Account??, generation: Int) {
        memory.withLock { memory in
            guard memory.generation == generation else { return }
            memory.checks[proof] = nil
            switch outcome {
            case .some(let account?):
                if memory.passwords.count >= Self.capacity { memory.passwords.removeAll() }
                memory.passwords[name] = Known(proof: proof, account: account)
            case .some(nil):
                if memory.wrong.count >= Self.capacity { memory.wrong.removeAll() }
                memory.wrong.insert(proof)
            case nil: break
            }
        }
    }

    /// The header that begins a session of this user.
    func sessionHeader(for name: String, now: Int) async throws -> String {
        guard let user = try await sessionUser(name) else { throw Refusal.wrongPassword }
        return sessionHeader(name, salt: user.salt, now: now)
    }

    private func sessionHeader(_ name: String, salt: String, now: Int) -> String {
        SessionCookie.header(
            user: name, secret: secret, salt: salt, now: now, lifetime: settings.limits.session, isSecure: isSecure)
    }

    private static func proof(_ name: String, _ password: String, _ key: SymmetricKey) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: Array("\(name)\u{0}\(password)".utf8), using: key))
    }

    private static func administrator(_ name: String) -> Account {
        Account(name: name, roles: ["_admin"], handler: "default")
    }

    private func verified(name: String, password: String) async throws -> Account? {
        if case .hashed(let hash)? = administrators.secret(of: name) {
            return try await hash.accepts(password) ? Self.administrator(name) : nil
        }
        guard let document = try await lookup(name), let hash = PasswordHash(user: document),
            try await hash.accepts(password)
        else { return nil }
        return Account(name: name, roles: Self.roles(document), handler: "default")
    }

    private func sessionUser(_ name: String) async throws -> User? {
        if let secret = administrators.secret(of: name) {
            let key = SymmetricKey(data: Array(self.secret.utf8))
            return User(roles: ["_admin"], salt: Administrators.salt(secret, key: key))
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

    /// Whether the header begins with this word, upper and lower case alike.
    private static func names(_ word: StaticString, _ header: String) -> Bool {
        word.withUTF8Buffer { word in
            // An ASCII capital differs from its small letter in one bit, and so does nothing else that a word ends with.
            header.utf8.count >= word.count && zip(header.utf8, word).allSatisfy { $0 == $1 || $0 | 0x20 == $1 }
        }
    }

    private static func basic(_ header: String) throws(Refusal) -> (name: String, password: String)? {
        guard names("basic ", header) else { return nil }
        let rest = header.utf8.dropFirst(6)
        let text = String(decoding: rest.filter { $0 != UInt8(ascii: " ") }, as: UTF8.self)
        guard let data = Data(base64Encoded: text) else {
            throw .badRequest("Authorization header has invalid base64 value")
        }
        let parts = data.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        return (String(decoding: parts[0], as: UTF8.self), String(decoding: parts[1], as: UTF8.self))
    }
}
