package import CouchDocument
package import Crypto
import CryptoExtras
import FoundationEssentials

/// A key that can prove who signed a token. Each kind takes only its own algorithms: a public key is never a secret.
package struct WebTokenKey: Sendable {
    private enum Kind: Sendable {
        case secret(SymmetricKey)
        case rsa(_RSA.Signing.PublicKey)
        case p256(P256.Signing.PublicKey)
        case p384(P384.Signing.PublicKey)
        case p521(P521.Signing.PublicKey)
    }
    private let kind: Kind

    /// A secret of signer and reader.
    package init(secret: SymmetricKey) { kind = .secret(secret) }

    /// A public RSA key, PEM; `nil` when it is none.
    package init?(rsaPEM pem: String) {
        guard let key = try? _RSA.Signing.PublicKey(pemRepresentation: pem) else { return nil }
        kind = .rsa(key)
    }

    /// A public key on one of NIST's curves, PEM; `nil` when it is none.
    package init?(curvePEM pem: String) {
        if let key = try? P256.Signing.PublicKey(pemRepresentation: pem) {
            kind = .p256(key)
        } else if let key = try? P384.Signing.PublicKey(pemRepresentation: pem) {
            kind = .p384(key)
        } else if let key = try? P521.Signing.PublicKey(pemRepresentation: pem) {
            kind = .p521(key)
        } else {
            return nil
        }
    }

    /// A public key of a set (RFC 7517, RFC 7518 §6); `nil` for kinds that are not known, and for those not meant for signatures.
    package init?(jwk: JSON) {
        if let use = jwk["use"]?.stringValue, use != "sig" { return nil }
        func number(_ name: String) -> [UInt8]? { jwk[name]?.stringValue.flatMap { WebToken.decode($0) } }
        switch jwk["kty"]?.stringValue {
        case "RSA":
            guard let modulus = number("n"), let exponent = number("e"),
                // Shorter ones are no proof (RFC 7518 §3.3).
                modulus.drop(while: { $0 == 0 }).count >= 256,
                let key = try? _RSA.Signing.PublicKey(n: modulus, e: exponent)
            else { return nil }
            kind = .rsa(key)
        case "EC":
            guard let x = number("x"), let y = number("y") else { return nil }
            let point = x + y
            switch jwk["crv"]?.stringValue {
            case "P-256":
                guard let key = try? P256.Signing.PublicKey(rawRepresentation: point) else { return nil }
                kind = .p256(key)
            case "P-384":
                guard let key = try? P384.Signing.PublicKey(rawRepresentation: point) else { return nil }
                kind = .p384(key)
            case "P-521":
                guard let key = try? P521.Signing.PublicKey(rawRepresentation: point) else { return nil }
                kind = .p521(key)
            default: return nil
            }
        default: return nil
        }
    }

    fileprivate func proves(_ token: WebToken) -> Bool {
        let (signed, signature) = (token.signed, token.signature)
        switch (kind, token.algorithm) {
        case (.secret(let key), "HS256"):
            return HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: signed, using: key)
        case (.secret(let key), "HS384"):
            return HMAC<SHA384>.isValidAuthenticationCode(signature, authenticating: signed, using: key)
        case (.secret(let key), "HS512"):
            return HMAC<SHA512>.isValidAuthenticationCode(signature, authenticating: signed, using: key)
        case (.rsa(let key), let algorithm):
            let signature = _RSA.Signing.RSASignature(rawRepresentation: Data(signature))
            switch algorithm {
            case "RS256":
                return key.isValidSignature(signature, for: SHA256.hash(data: signed), padding: .insecurePKCS1v1_5)
            case "RS384":
                return key.isValidSignature(signature, for: SHA384.hash(data: signed), padding: .insecurePKCS1v1_5)
            case "RS512":
                return key.isValidSignature(signature, for: SHA512.hash(data: signed), padding: .insecurePKCS1v1_5)
            default: return false
            }
        case (.p256(let key), "ES256"):
            guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: SHA256.hash(data: signed))
        case (.p384(let key), "ES384"):
            guard let signature = try? P384.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: SHA384.hash(data: signed))
        case (.p521(let key), "ES512"):
            guard let signature = try? P521.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: SHA512.hash(data: signed))
        default: return false
        }
    }
}

extension WebToken {
    /// Whether the holder of that key signed it, in the way that it says.
    package func isSigned(with key: WebTokenKey) -> Bool { key.proves(self) }
}
