import CouchDocument
import Crypto
import CryptoExtras
import FoundationEssentials

/// A JSON web token as CouchDB's JWT handler takes it: signed with a key of the section `jwt_keys`, the name in `sub`.
struct BearerToken: Sendable {
    private let header: JSON
    private let claims: JSON
    /// Header and claims as they were signed.
    private let signed: [UInt8]
    private let signature: [UInt8]

    init(_ text: String) throws(Refusal) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let head = Self.decode(parts[0]), let body = Self.decode(parts[1]),
            let signature = Self.decode(parts[2])
        else { throw .badRequest("Malformed token") }
        guard let header = try? JSON(parsing: head), header.objectValue != nil else {
            throw .badRequest("Malformed header")
        }
        guard let claims = try? JSON(parsing: body), claims.objectValue != nil else {
            throw .badRequest("Malformed payload")
        }
        self.header = header
        self.claims = claims
        self.signature = signature
        signed = Array("\(parts[0]).\(parts[1])".utf8)
    }

    private static func decode(_ part: Substring) -> [UInt8]? {
        var text = String(part).replacing("-", with: "+").replacing("_", with: "/")
        text += String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
        return Data(base64Encoded: text).map(Array.init)
    }

    private static func encode(_ bytes: some Sequence<UInt8>) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    /// A token of the server's own making, signed by HMAC-SHA256.
    static func make(_ claims: JSONObject, keyID: String, key: SymmetricKey) -> String {
        let header: JSON = ["alg": "HS256", "typ": "JWT", "kid": .string(keyID)]
        let signed = encode(header.encoded()) + "." + encode(JSON.object(claims).encoded())
        return signed + "." + encode(HMAC<SHA256>.authenticationCode(for: Array(signed.utf8), using: key))
    }

    /// The name of the key.
    var keyID: String? { header["kid"]?.stringValue }

    /// Who that is, if the server's own key signed it.
    func ownAccount(_ key: SymmetricKey) -> Account? {
        guard header["alg"] == "HS256",
            HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: signed, using: key)
        else { return nil }
        let roles = claims["roles"]?.arrayValue?.compactMap(\.stringValue) ?? []
        return Account(name: claims["sub"]?.stringValue, roles: roles, handler: "jwt")
    }

    /// Who that is, checked against the keys and rules of the settings.
    func account(_ settings: Settings, now: Int) throws(Refusal) -> Account {
        guard let algorithm = header["alg"]?.stringValue else { throw .badRequest("Missing alg header") }
        let kind = algorithm.prefix(2)
        guard ["HS", "RS", "ES"].contains(kind), ["256", "384", "512"].contains(algorithm.dropFirst(2)) else {
            throw .badRequest("Invalid alg header value")
        }
        let family = kind == "HS" ? "hmac" : kind == "RS" ? "rsa" : "ec"
        guard let key = settings["jwt_keys", "\(family):\(keyID ?? "_default")"] else {
            throw .badRequest("Public key not found for kid")
        }
        guard isValid(algorithm, key: key) else { throw .badRequest("Bad signature") }
        try checkTimes(now: now)
        try checkRequired(settings["jwt_auth", "required_claims"] ?? "")
        guard let name = claims["sub"]?.stringValue else { throw .unauthorized("Token missing sub claim.") }
        return Account(name: name, roles: try roles(settings), handler: "jwt")
    }

    /// Times that are given must be right, whether required or not.
    private func checkTimes(now: Int) throws(Refusal) {
        let moment = Double(now)
        if let end = claims["exp"] {
            guard let time = end.numberValue, time > moment else { throw .unauthorized("exp not in future") }
        }
        for (name, word) in [("nbf", "nbf not in past"), ("iat", "iat not in past")] {
            guard let value = claims[name] else { continue }
            guard let time = value.numberValue, time <= moment else { throw .unauthorized(word) }
        }
    }

    /// Claims that must be there, as in `exp, {iss, "https://issuer.example"}`: those in braces with that value.
    private func checkRequired(_ text: String) throws(Refusal) {
        var rest = text.filter { $0 != " " }[...]
        while !rest.isEmpty {
            let isPair = rest.first == "{"
            let item = rest.prefix { $0 != (isPair ? "}" : ",") }
            rest = rest.dropFirst(item.count + 1)
            let halves = item.filter { $0 != "{" && $0 != "\"" }.split(separator: ",", maxSplits: 1)
            guard let name = halves.first.map(String.init) else { continue }
            guard let value = claims[name] else { throw .badRequest("Missing \(name) claim") }
            guard isPair, halves.count == 2 else { continue }
            if value.stringValue != String(halves[1]) { throw .unauthorized("\(name) is not what it must be") }
        }
    }

    private func roles(_ settings: Settings) throws(Refusal) -> [String] {
        var value: JSON?
        if let path = settings["jwt_auth", "roles_claim_path"] {
            value = path.split(separator: ".").reduce(claims) { $0?[String($1)] }
        } else {
            value = claims[settings["jwt_auth", "roles_claim_name"] ?? "_couchdb.roles"]
        }
        guard let value else { return [] }
        if let list = value.arrayValue { return list.compactMap(\.stringValue) }
        return value.stringValue?.split(separator: ",").map { String($0.filter { $0 != " " }) } ?? []
    }

    private func isValid(_ algorithm: String, key: String) -> Bool {
        // An HMAC key stands as base64, the others as PEM whose line ends are written `\n`.
        if algorithm.hasPrefix("HS") {
            guard let bytes = Data(base64Encoded: key) else { return false }
            let secret = SymmetricKey(data: bytes)
            switch algorithm {
            case "HS256":
                return HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: signed, using: secret)
            case "HS384":
                return HMAC<SHA384>.isValidAuthenticationCode(signature, authenticating: signed, using: secret)
            default: return HMAC<SHA512>.isValidAuthenticationCode(signature, authenticating: signed, using: secret)
            }
        }
        let pem = key.replacing("\\n", with: "\n")
        if algorithm.hasPrefix("RS") {
            guard let key = try? _RSA.Signing.PublicKey(pemRepresentation: pem) else { return false }
            let signature = _RSA.Signing.RSASignature(rawRepresentation: Data(signature))
            switch algorithm {
            case "RS256":
                return key.isValidSignature(signature, for: SHA256.hash(data: signed), padding: .insecurePKCS1v1_5)
            case "RS384":
                return key.isValidSignature(signature, for: SHA384.hash(data: signed), padding: .insecurePKCS1v1_5)
            default: return key.isValidSignature(signature, for: SHA512.hash(data: signed), padding: .insecurePKCS1v1_5)
            }
        }
        return isValidCurve(algorithm, pem)
    }

    private func isValidCurve(_ algorithm: String, _ pem: String) -> Bool {
        switch algorithm {
        case "ES256":
            guard let key = try? P256.Signing.PublicKey(pemRepresentation: pem),
                let signature = try? P256.Signing.ECDSASignature(rawRepresentation: signature)
            else { return false }
            return key.isValidSignature(signature, for: SHA256.hash(data: signed))
        case "ES384":
            guard let key = try? P384.Signing.PublicKey(pemRepresentation: pem),
                let signature = try? P384.Signing.ECDSASignature(rawRepresentation: signature)
            else { return false }
            return key.isValidSignature(signature, for: SHA384.hash(data: signed))
        default:
            guard let key = try? P521.Signing.PublicKey(pemRepresentation: pem),
                let signature = try? P521.Signing.ECDSASignature(rawRepresentation: signature)
            else { return false }
            return key.isValidSignature(signature, for: SHA512.hash(data: signed))
        }
    }
}
