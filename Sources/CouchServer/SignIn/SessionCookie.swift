import Crypto
import FoundationEssentials

/// The `AuthSession` cookie: who signed in and when, sealed with the server's secret and the user's salt, so that a new
/// password ends old sessions.
struct SessionCookie: Sendable {
    static let name = "AuthSession"
    let user: String
    /// Seconds since 1970.
    let issued: Int
    private let timeText: String
    private let seal: [UInt8]

    /// Reads a value.
    ///
    /// - Returns: `nil` for an empty value: that is nobody.
    /// - Throws: 400, as CouchDB does, when the value can not be taken apart.
    init?(_ value: String) throws(Refusal) {
        if value.isEmpty { return nil }
        let malformed = Refusal.badRequest("Malformed AuthSession cookie. Please clear your cookies.")
        var text = value.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 }
        while text.count % 4 != 0 { text.append("=") }
        guard let data = Data(base64Encoded: String(text)) else { throw malformed }
        let parts = data.split(separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let user = String(validating: parts[0], as: UTF8.self),
            let time = String(validating: parts[1], as: UTF8.self), let issued = Int(time, radix: 16),
            // Far beyond any clock, and no sum with it overflows.
            (0..<1 << 40).contains(issued)
        else { throw malformed }
        self.user = user
        self.issued = issued
        timeText = time
        seal = Array(parts[2])
    }

    /// Whether the seal is right and the life not over.
    func isValid(secret: String, salt: String, now: Int, lifetime: Int) -> Bool {
        now < issued + lifetime
            && PasswordHash.isEqual(seal, Self.seal("\(user):\(timeText)", secret: secret, salt: salt))
    }

    /// Whether so much of the life has passed that the client gets a new one.
    func isAging(now: Int, lifetime: Int) -> Bool { now - issued > lifetime / 10 }

    private static func seal(_ text: String, secret: String, salt: String) -> [UInt8] {
        let key = SymmetricKey(data: Array((secret + salt).utf8))
        return Array(HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key))
    }

    /// The header that begins a session.
    ///
    /// - Parameter lifetime: Seconds; `chttpd_auth/timeout`.
    static func header(
        user: String, secret: String, salt: String, now: Int, lifetime: Int, isSecure: Bool
    ) -> String {
        let text = "\(user):" + String(now, radix: 16, uppercase: true)
        let value = Data(Array(text.utf8) + [UInt8(ascii: ":")] + seal(text, secret: secret, salt: salt))
            .base64EncodedString().compactMap { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 == "=" ? nil : $0 }
        return "\(name)=\(String(value)); Version=1; Expires=\(HTTPDate.text(now + lifetime)); Max-Age=\(lifetime);"
            + " Path=/; HttpOnly" + (isSecure ? "; Secure" : "")
    }

    /// The header that ends a session.
    static let emptyHeader = "\(name)=; Version=1; Path=/; HttpOnly"
}
