import CouchDocument
import Crypto
import CryptoExtras
import FoundationEssentials

/// A password as a user document keeps it: never itself, only what was derived from it.
struct PasswordHash: Sendable {
    enum Scheme: Sendable {
        case pbkdf2(SHA2)
        /// SHA-1 of the password and the salt: in documents from CouchDB 1.x.
        case simple
    }
    enum SHA2: Sendable { case sha1, sha256 }

    let scheme: Scheme
    let salt: String
    let iterations: Int
    /// In hex digits.
    let derived: String

    static let currentIterations = 600_000
    /// A user document that asks for more work than this is not believed.
    private static let mostIterations = 2_000_000
    /// Hex digits: every 32 bytes of a key cost all the rounds again.
    private static let longestKey = 128

    /// Reads a user document; `nil` when it holds no password of a known kind.
    init?(user: JSONObject) {
        guard let salt = user["salt"]?.stringValue else { return nil }
        self.salt = salt
        if user["password_scheme"]?.stringValue == "pbkdf2" {
            guard let key = user["derived_key"]?.stringValue, let rounds = user["iterations"]?.intValue,
                (1...Self.mostIterations).contains(rounds), key.utf8.count <= Self.longestKey
            else { return nil }
            scheme = .pbkdf2(user["pbkdf2_prf"]?.stringValue == "sha256" ? .sha256 : .sha1)
            iterations = rounds
            derived = key
        } else {
            guard let key = user["password_sha"]?.stringValue else { return nil }
            scheme = .simple
            iterations = 1
            derived = key
        }
    }

    /// Reads what an admin's setting holds: `-pbkdf2:sha256-KEY,SALT,ROUNDS`, `-pbkdf2-KEY,SALT,ROUNDS` (SHA-1) or
    /// `-hashed-SHA1,SALT`; `nil` for anything else, which is a password then.
    init?(setting text: String) {
        let kinds: [(mark: String, scheme: Scheme)] = [
            ("-pbkdf2:sha256-", .pbkdf2(.sha256)), ("-pbkdf2:sha-", .pbkdf2(.sha1)), ("-pbkdf2-", .pbkdf2(.sha1)),
            ("-hashed-", .simple),
        ]
        guard let kind = kinds.first(where: { text.hasPrefix($0.mark) }) else { return nil }
        let parts = text.dropFirst(kind.mark.count).split(separator: ",", omittingEmptySubsequences: false)
        var rounds = 1
        if case .pbkdf2 = kind.scheme {
            guard parts.count == 3, let number = Int(parts[2]), (1...Self.mostIterations).contains(number) else {
                return nil
            }
            rounds = number
        } else if parts.count != 2 {
            return nil
        }
        guard !parts[0].isEmpty, parts[0].utf8.count <= Self.longestKey else { return nil }
        self.init(scheme: kind.scheme, salt: String(parts[1]), iterations: rounds, derived: String(parts[0]))
    }

    /// The text of an admin's setting.
    var setting: String {
        switch scheme {
        case .pbkdf2(.sha256): "-pbkdf2:sha256-\(derived),\(salt),\(iterations)"
        case .pbkdf2(.sha1): "-pbkdf2-\(derived),\(salt),\(iterations)"
        case .simple: "-hashed-\(derived),\(salt)"
        }
    }

    /// Hashes a new password. Takes a good part of a second on a thread of its own.
    static func make(_ password: String) async throws -> PasswordHash {
        var generator = SystemRandomNumberGenerator()
        let salt = hexadecimal((0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) })
        let draft = PasswordHash(scheme: .pbkdf2(.sha256), salt: salt, iterations: currentIterations, derived: "")
        let derived = try await draft.derive(password, byteCount: 32)
        return PasswordHash(scheme: draft.scheme, salt: salt, iterations: currentIterations, derived: derived)
    }

    private init(scheme: Scheme, salt: String, iterations: Int, derived: String) {
        self.scheme = scheme
        self.salt = salt
        self.iterations = iterations
        self.derived = derived
    }

    /// Whether this is the password. Takes as long as making the hash.
    func accepts(_ password: String) async throws -> Bool {
        let candidate = try await derive(password, byteCount: derived.utf8.count / 2)
        return Self.isEqual(Array(candidate.utf8), Array(derived.lowercased().utf8))
    }

    /// Whether a better hash is made today.
    var isOutdated: Bool {
        if case .pbkdf2(.sha256) = scheme { iterations < Self.currentIterations } else { true }
    }

    /// The members of a user document that keep this hash.
    var members: JSONObject {
        [
            "password_scheme": "pbkdf2", "pbkdf2_prf": "sha256", "salt": .string(salt),
            "iterations": .integer(iterations), "derived_key": .string(derived),
        ]
    }

    /// Compares in a time that does not tell where the difference is.
    static func isEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    private func derive(_ password: String, byteCount: Int) async throws -> String {
        try await PasswordThreads.shared.perform { try deriveNow(password, byteCount: byteCount) }
    }

    private func deriveNow(_ password: String, byteCount: Int) throws -> String {
        let hash: KDF.Insecure.PBKDF2.HashFunction
        switch scheme {
        case .simple: return hexadecimal(Insecure.SHA1.hash(data: Array((password + salt).utf8)))
        case .pbkdf2(.sha1): hash = .insecureSHA1
        case .pbkdf2(.sha256): hash = .sha256
        }
        // Imported users may have fewer rounds than the library advises; they are hashed anew at their next sign-in.
        let key = try KDF.Insecure.PBKDF2.deriveKey(
            from: Array(password.utf8), salt: Array(salt.utf8), using: hash, outputByteCount: max(1, byteCount),
            unsafeUncheckedRounds: iterations)
        return key.withUnsafeBytes { hexadecimal($0) }
    }
}
