import CouchDocument
import Crypto
import FoundationEssentials
import WebTokens

/// A JSON web token as CouchDB's JWT handler takes it: signed with a key of the section `jwt_keys`, the name in `sub`.
struct BearerToken: Sendable {
    private let token: WebToken
    private var claims: JSON { token.claims }

    init(_ text: String) throws(Refusal) {
        do { token = try WebToken(text) } catch {
            switch error {
            case .token: throw .badRequest("Malformed token")
            case .header: throw .badRequest("Malformed header")
            case .payload: throw .badRequest("Malformed payload")
            }
        }
    }

    /// The name of the key.
    var keyID: String? { token.keyID }

    /// Who that is, if the server's own key signed it.
    func ownAccount(_ key: SymmetricKey) -> Account? {
        guard token.algorithm == "HS256", token.isSigned(with: WebTokenKey(secret: key)) else { return nil }
        let roles = claims["roles"]?.arrayValue?.compactMap(\.stringValue) ?? []
        return Account(name: claims["sub"]?.stringValue, roles: roles, handler: "jwt")
    }

    /// Who that is, checked against the keys and rules of the settings.
    func account(_ settings: Settings, now: Int) throws(Refusal) -> Account {
        guard let algorithm = token.algorithm else { throw .badRequest("Missing alg header") }
        let kind = algorithm.prefix(2)
        guard ["HS", "RS", "ES"].contains(kind), ["256", "384", "512"].contains(algorithm.dropFirst(2)) else {
            throw .badRequest("Invalid alg header value")
        }
        let family = kind == "HS" ? "hmac" : kind == "RS" ? "rsa" : "ec"
        guard let setting = settings["jwt_keys", "\(family):\(keyID ?? "_default")"] else {
            throw .badRequest("Public key not found for kid")
        }
        guard let key = Self.key(family, setting), token.isSigned(with: key) else { throw .badRequest("Bad signature") }
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

    /// Keys stand in the settings: HMAC's as base64, the others as PEM whose line ends are written `\n`.
    private static func key(_ family: String, _ text: String) -> WebTokenKey? {
        let pem = text.replacing("\\n", with: "\n")
        return switch family {
        case "hmac": Data(base64Encoded: text).map { WebTokenKey(secret: SymmetricKey(data: $0)) }
        case "rsa": WebTokenKey(rsaPEM: pem)
        default: WebTokenKey(curvePEM: pem)
        }
    }
}
