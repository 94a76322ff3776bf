import CouchDocument
import Crypto

/// A server admin whose password was given at the start.
package struct Administrator: Sendable {
    package let name: String
    package let password: String

    package init(name: String, password: String) {
        self.name = name
        self.password = password
    }
}

/// Who administers the server: the admin of the command line, and those of `_config/admins`, whose passwords are kept as
/// CouchDB keeps them in its configuration.
struct Administrators: Sendable {
    /// How an admin's password is known.
    enum Secret: Sendable {
        case plain(String)
        case hashed(PasswordHash)
    }

    /// The section of the settings.
    static let section = "admins"

    let given: [Administrator]
    private let settings: Settings

    init(given: [Administrator], settings: Settings) {
        self.given = given
        self.settings = settings
    }

    /// `nil`: no admin has that name.
    func secret(of name: String) -> Secret? {
        if let administrator = given.first(where: { $0.name == name }) { return .plain(administrator.password) }
        return settings[Self.section, name].flatMap(PasswordHash.init(setting:)).map(Secret.hashed)
    }

    /// Makes a setting of what was sent for a new admin: a password is hashed, a hash is taken as it is.
    func setting(for name: String, _ value: String) async throws -> String {
        if given.contains(where: { $0.name == name }) {
            throw Refusal.forbidden("the password of \(name) is set where tokenpoold is started")
        }
        if name.isEmpty || name.contains(":") || name.hasPrefix("_") {
            throw Refusal.badRequest("an admin's name is not empty, has no colon and does not begin with _")
        }
        if value.isEmpty { throw Refusal.badRequest("an admin's password is not empty") }
        if PasswordHash(setting: value) != nil { return value }
        return try await PasswordHash.make(value).setting
    }

    /// What seals the sessions of an admin beside the server's secret, so that a new password ends them.
    static func salt(_ secret: Secret, key: SymmetricKey) -> String {
        switch secret {
        case .hashed(let hash): hash.salt
        // Nothing of the password can be learned from it.
        case .plain(let password): hexadecimal(HMAC<SHA256>.authenticationCode(for: Array(password.utf8), using: key))
        }
    }
}
