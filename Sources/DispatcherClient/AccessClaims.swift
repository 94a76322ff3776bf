import CouchDocument
import FoundationEssentials

/// What a dispatcher's token says of itself. Its signature is the server's business.
package struct AccessClaims: Hashable, Sendable {
    package let user: String
    /// Seconds since 1970.
    package let expires: Double

    /// - Returns: `nil` when that is no JSON web token with a subject and an end.
    package init?(_ token: String) {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        var text = parts[1].replacing("-", with: "+").replacing("_", with: "/")
        text += String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
        guard let bytes = Data(base64Encoded: String(text)), let claims = try? JSON(parsing: bytes),
            let user = claims["sub"]?.stringValue, let expires = claims["exp"]?.numberValue
        else { return nil }
        self.user = user
        self.expires = expires
    }
}
