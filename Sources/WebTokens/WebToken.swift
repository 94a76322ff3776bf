package import CouchDocument
package import Crypto
import FoundationEssentials

/// A JSON web token (RFC 7519) as it was shown: nothing that it says is proved before ``isSigned(with:)``.
package struct WebToken: Sendable {
    /// Why a text is none.
    package enum Fault: Error { case token, header, payload }

    package let header: JSON
    package let claims: JSON
    /// Header and claims as they were signed.
    let signed: [UInt8]
    let signature: [UInt8]

    package init(_ text: String) throws(Fault) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let head = Self.decode(parts[0]), let body = Self.decode(parts[1]),
            let signature = Self.decode(parts[2])
        else { throw .token }
        guard let header = try? JSON(parsing: head), header.objectValue != nil else { throw .header }
        guard let claims = try? JSON(parsing: body), claims.objectValue != nil else { throw .payload }
        self.header = header
        self.claims = claims
        self.signature = signature
        signed = Array("\(parts[0]).\(parts[1])".utf8)
    }

    /// The name of the key.
    package var keyID: String? { header["kid"]?.stringValue }
    /// How it says to be signed.
    package var algorithm: String? { header["alg"]?.stringValue }

    /// A token signed by HMAC-SHA256.
    package static func make(_ claims: JSONObject, keyID: String? = nil, key: SymmetricKey) -> String {
        var header: JSONObject = ["alg": "HS256", "typ": "JWT"]
        if let keyID { header["kid"] = .string(keyID) }
        let signed = encode(JSON.object(header).encoded()) + "." + encode(JSON.object(claims).encoded())
        return signed + "." + encode(HMAC<SHA256>.authenticationCode(for: Array(signed.utf8), using: key))
    }

    /// Base64 for addresses (RFC 4648 §5), without padding.
    package static func encode(_ bytes: some Sequence<UInt8>) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    package static func decode(_ part: some StringProtocol) -> [UInt8]? {
        var text = String(part).replacing("-", with: "+").replacing("_", with: "/")
        text += String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
        return Data(base64Encoded: text).map(Array.init)
    }
}
