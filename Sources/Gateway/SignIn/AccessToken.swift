import CouchDocument
import Crypto
import FoundationEssentials

/// Shows who signed in: a JSON web token, signed by HMAC-SHA256.
struct AccessToken: Sendable {
    /// The user.
    let user: String
    /// When it ends, in seconds since 1970.
    let expires: Double

    static let issuer = "tokenpool"

    init(user: String, expires: Double) {
        self.user = user
        self.expires = expires
    }

    /// As it is sent.
    func text(_ key: SymmetricKey, now: Double) -> String {
        func number(_ value: Double) -> JSON { JSON.double(value) ?? .null }
        let claims: JSONObject = [
            "iss": .string(Self.issuer), "sub": .string(user), "iat": number(now), "nbf": number(now),
            "exp": number(expires), "jti": .string(hexadecimal((0..<4).map { _ in UInt8.random(in: 0...255) })),
        ]
        let header: JSON = ["alg": "HS256", "typ": "JWT"]
        let signed = Self.encode(header.encoded()) + "." + Self.encode(JSON.object(claims).encoded())
        return signed + "." + Self.encode(HMAC<SHA256>.authenticationCode(for: Array(signed.utf8), using: key))
    }

    /// Reads what a client shows.
    ///
    /// - Throws: 401 for what is no token of ours, or is over.
    init(_ text: String, key: SymmetricKey, now: Double) throws(GatewayRefusal) {
        let invalid = GatewayRefusal(401, "Token verification failed")
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let head = Self.decode(parts[0]), let body = Self.decode(parts[1]),
            let signature = Self.decode(parts[2])
        else { throw invalid }
        let signed = Array("\(parts[0]).\(parts[1])".utf8)
        guard HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: signed, using: key) else {
            throw invalid
        }
        let header: JSON
        let claims: JSON
        do { (header, claims) = (try JSON(parsing: head), try JSON(parsing: body)) } catch { throw invalid }
        guard header["alg"] == "HS256", claims["iss"]?.stringValue == Self.issuer,
            let user = claims["sub"]?.stringValue, let expires = claims["exp"]?.numberValue
        else { throw invalid }
        if expires <= now { throw GatewayRefusal(401, "Token expired") }
        self.init(user: user, expires: expires)
    }

    private static func decode(_ part: Substring) -> [UInt8]? {
        var text = String(part).replacing("-", with: "+").replacing("_", with: "/")
        text += String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
        return Data(base64Encoded: text).map(Array.init)
    }

    static func encode(_ bytes: some Sequence<UInt8>) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}
