import CouchDocument
import Crypto
import Synchronization
import TokenPool

/// HTTP digest sign-in (RFC 2617, MD5, `qop=auth`) as the clients' library does it: a challenge is good for one answer,
/// for half a minute, from the gateway that made it.
final class DigestChallenge: Sendable {
    private let key = SymmetricKey(size: .bits256)
    /// The challenges that were answered in this life of a challenge and in the one before: older ones are too old anyway.
    private struct Answered {
        var since = 0.0
        var latest: Set<String> = []
        var earlier: Set<String> = []
    }
    /// Protects which challenges were answered.
    private let answered = Mutex(Answered())
    private static let lifetime = 30.0

    /// The value of `WWW-Authenticate`.
    func header(now: Double) -> String {
        "Digest realm=\"\(Catalog.digestRealm)\", nonce=\"\(nonce(now))\", algorithm=MD5, qop=\"auth\""
    }

    private func nonce(_ now: Double) -> String {
        let random = hexadecimal((0..<8).map { _ in UInt8.random(in: 0...255) })
        let text = "\(Int(now * 1000))-\(random)"
        return text + "-" + seal(text)
    }

    private func seal(_ text: String) -> String {
        hexadecimal(HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key).prefix(16))
    }

    /// Whether a nonce is ours, young, and shown for the first time.
    private func admit(_ nonce: String, now: Double) -> Bool {
        let parts = nonce.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, let made = Double(parts[0]),
            Self.isEqual(seal("\(parts[0])-\(parts[1])"), String(parts[2])),
            now - made / 1000 < Self.lifetime
        else { return false }
        return answered.withLock { answered in
            if now - answered.since >= Self.lifetime {
                answered.earlier = now - answered.since < 2 * Self.lifetime ? answered.latest : []
                answered.latest = []
                answered.since = now
            }
            return !answered.earlier.contains(nonce) && answered.latest.insert(nonce).inserted
        }
    }

    /// Who answers a challenge, by the value of `Authorization`.
    ///
    /// - Parameters:
    ///   - uri: What the client must have signed ends with this.
    ///   - secret: Finds the MD5 of name, realm and password.
    ///   - judge: Counts who guesses: told the name and what says whether the answer is right.
    /// - Returns: The user; `nil` when the answer is wrong.
    func user(
        _ authorization: String, uri: String, now: Double, secret: (String) async throws -> String?,
        judge: (_ name: String, _ isRight: () -> Bool) throws -> Bool
    ) async throws -> String? {
        let fields = Self.fields(authorization)
        guard let user = fields["username"], let nonce = fields["nonce"], let signed = fields["uri"],
            let response = fields["response"], let count = fields["nc"], let client = fields["cnonce"],
            fields["realm"] == Catalog.digestRealm, fields["qop"] == "auth",
            (fields["algorithm"] ?? "MD5").uppercased() == "MD5", signed.hasSuffix(uri), admit(nonce, now: now)
        else { return nil }
        let first = try await secret(user)
        let second = Self.md5("GET:\(signed)")
        let isRight = try judge(user) {
            guard let first else { return false }
            let wanted = Self.md5("\(first):\(nonce):\(count):\(client):auth:\(second)")
            return Self.isEqual(wanted, response.lowercased())
        }
        return isRight ? user : nil
    }

    private static func md5(_ text: String) -> String { hexadecimal(Insecure.MD5.hash(data: Array(text.utf8))) }

    /// Compares in a time that does not tell where the difference is.
    private static func isEqual(_ left: String, _ right: String) -> Bool {
        guard left.utf8.count == right.utf8.count else { return false }
        return zip(left.utf8, right.utf8).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    /// `name=value, name="value with, commas and \" quotes"`.
    static func fields(_ header: String) -> [String: String] {
        guard header.lowercased().hasPrefix("digest ") else { return [:] }
        var rest = header.dropFirst(7)
        var fields: [String: String] = [:]
        while true {
            rest = rest.drop { $0 == " " || $0 == "," }
            let name = rest.prefix { $0 != "=" }
            guard !name.isEmpty, name.endIndex < rest.endIndex else { return fields }
            rest = rest[rest.index(after: name.endIndex)...]
            var value = ""
            if rest.first == "\"" {
                rest = rest.dropFirst()
                while let next = rest.popFirst(), next != "\"" {
                    if next == "\\", let escaped = rest.popFirst() { value.append(escaped) } else { value.append(next) }
                }
            } else {
                value = String(rest.prefix { $0 != "," && $0 != " " })
                rest = rest.dropFirst(value.count)
            }
            fields[String(name)] = value
        }
    }
}
