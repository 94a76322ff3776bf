import CouchDocument
import Crypto
import WebTokens

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
        return WebToken.make(claims, key: key)
    }

    /// Reads what a client shows.
    ///
    /// - Throws: 401 for what is no token of ours, or is over.
    init(_ text: String, key: SymmetricKey, now: Double) throws(GatewayRefusal) {
        let invalid = GatewayRefusal(401, "Token verification failed")
        let token: WebToken
        do { token = try WebToken(text) } catch { throw invalid }
        guard token.isSigned(with: WebTokenKey(secret: key)), token.algorithm == "HS256",
            token.claims["iss"]?.stringValue == Self.issuer, let user = token.claims["sub"]?.stringValue,
            let expires = token.claims["exp"]?.numberValue
        else { throw invalid }
        if expires <= now { throw GatewayRefusal(401, "Token expired") }
        self.init(user: user, expires: expires)
    }
}
