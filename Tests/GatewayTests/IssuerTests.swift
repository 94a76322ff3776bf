import CouchDB
import CouchDocument
import Crypto
import CryptoExtras
import Foundation
import TestSupport
import Testing
import TokenPool
import WebTokens

@testable import Gateway

/// What issues tokens: its keys, and pages where servers find them.
private struct Issuer: Sendable {
    let curve = P256.Signing.PrivateKey()
    let rsa: _RSA.Signing.PrivateKey
    let stranger = P256.Signing.PrivateKey()

    init() throws { rsa = try _RSA.Signing.PrivateKey(keySize: .bits2048) }

    /// The public keys as a set.
    func keys(_ names: [String] = ["e1", "r1"]) throws -> String {
        let point = curve.publicKey.rawRepresentation
        let numbers = try rsa.publicKey.getKeyPrimitives()
        let all: [String: JSON] = [
            "e1": [
                "kty": "EC", "crv": "P-256", "kid": "e1", "use": "sig", "x": .string(WebToken.encode(point.prefix(32))),
                "y": .string(WebToken.encode(point.suffix(32))),
            ],
            "r1": [
                "kty": "RSA", "kid": "r1", "n": .string(WebToken.encode(numbers.modulus)),
                "e": .string(WebToken.encode(numbers.publicExponent)),
            ],
            "enc": ["kty": "RSA", "kid": "enc", "use": "enc", "n": "AQAB", "e": "AQAB"],
        ]
        return JSON.object(["keys": .array(names.compactMap { all[$0] })]).description
    }

    func claims(_ issuer: String, _ change: JSONObject = [:]) -> JSONObject {
        let now = Date().timeIntervalSince1970.rounded()
        var claims: JSONObject = [
            "iss": .string(issuer), "sub": "alice", "aud": "https://pool.example.org", "iat": .integer(Int(now) - 10),
            "nbf": .integer(Int(now) - 10), "exp": .integer(Int(now) + 600), "wlcg.ver": "1.0",
        ]
        claims.merge(change)
        return JSONObject(claims.filter { !$0.value.isNull }.map { ($0.name, $0.value) })
    }

    func token(
        _ claims: JSONObject, algorithm: String = "ES256", key: String? = "e1", signer: P256.Signing.PrivateKey? = nil
    ) throws -> String {
        var header: JSONObject = ["alg": .string(algorithm), "typ": "JWT"]
        if let key { header["kid"] = .string(key) }
        let signed =
            WebToken.encode(JSON.object(header).encoded()) + "." + WebToken.encode(JSON.object(claims).encoded())
        let bytes = Array(signed.utf8)
        let signature: [UInt8]
        switch algorithm {
        case "ES256": signature = Array(try (signer ?? curve).signature(for: bytes).rawRepresentation)
        case "RS256":
            signature = Array(
                try rsa.signature(for: SHA256.hash(data: bytes), padding: .insecurePKCS1v1_5).rawRepresentation)
        case "HS256":
            // The public key as if it were a secret.
            let secret = SymmetricKey(data: Array(rsa.publicKey.pemRepresentation.utf8))
            signature = Array(HMAC<SHA256>.authenticationCode(for: bytes, using: secret))
        default: signature = []
        }
        return signed + "." + WebToken.encode(signature)
    }
}

@Suite("Tokens of trusted issuers", .serialized)
struct IssuerTests {
    @Test("a WLCG token or SciToken signs its subject in, until it ends; any that is wrong in anything does not")
    func tokens() async throws {
        let certificates = try await TestCertificates.shared()
        let pages = try PageServer(certificates)
        let issuer = try Issuer()
        let configuration: JSON = ["issuer": .string(pages.url), "jwks_uri": .string(pages.url + "/jwks")]
        try pages.write(configuration.description, to: ".well-known/openid-configuration")
        try pages.write(try issuer.keys(["enc", "e1", "r1"]), to: "jwks")
        let file = """
            sign_in:
              issuers:
                - issuer: \(pages.url)
                  audience: [https://pool.example.org, ANY]
                  authorities: \(certificates.certificate("ca"))
                - issuer: https://127.0.0.1:1
                  audience: https://pool.example.org
                  time_limit: 2s
            """
        try await Dispatching.run(configuration: file) { dd in
            func signIn(_ token: String, as user: String = "alice") async throws -> Dispatching.Answer {
                try await dd.send(
                    "POST", "/auth/auth?method=token&username=\(user)", headers: ["Authorization": "bearer \(token)"])
            }
            let good = issuer.claims(pages.url)
            for token in [
                try issuer.token(good), try issuer.token(good, algorithm: "RS256", key: "r1"),
                try issuer.token(good, key: nil),
                try issuer.token(issuer.claims(pages.url, ["aud": ["x", "ANY"]])),
            ] {
                let answer = try await signIn(token)
                let own = try #require(answer.headers["x-authentication-token"], "\(answer.text)")
                #expect(try await dd.send("GET", "/auth/whoami", token: own).text == "alice")
                #expect(try Dispatching.claims(own)["exp"]?.numberValue == good["exp"]?.numberValue)
            }
            // By the id under which the issuer keeps the name to itself.
            let users = try dd.server.client().database("_users")
            var bob = try await users.document("org.couchdb.user:bob")
            bob["anonymous_id"] = "5f1c-88"
            try await users.save(bob)
            let hidden = try issuer.token(issuer.claims(pages.url, ["sub": "5f1c-88"]))
            #expect(try await signIn(hidden, as: "bob").status == 200)
            #expect(try await signIn(hidden, as: "alice").status == 401)
            #expect(try await signIn(try issuer.token(good), as: "bob").status == 401)
            #expect(
                try await signIn(try issuer.token(issuer.claims(pages.url, ["sub": "ghost"])), as: "ghost").status
                    == 401)
            let now = Int(Date().timeIntervalSince1970)
            for (token, reason) in [
                (try issuer.token(good, key: "e9"), "signature is wrong"),
                (try issuer.token(good, signer: issuer.stranger), "signature is wrong"),
                (try issuer.token(good, algorithm: "RS256", key: "e1"), "signature is wrong"),
                (try issuer.token(good, algorithm: "none"), "not signed in a way"),
                (try issuer.token(good, algorithm: "HS256", key: "r1"), "not signed in a way"),
                (try issuer.token(issuer.claims(pages.url, ["exp": .integer(now - 1)])), "has expired"),
                (try issuer.token(issuer.claims(pages.url, ["exp": nil])), "has no end"),
                (try issuer.token(issuer.claims(pages.url, ["exp": "soon"])), "has no end"),
                (try issuer.token(issuer.claims(pages.url, ["nbf": .integer(now + 300)])), "not valid yet"),
                (try issuer.token(issuer.claims(pages.url, ["aud": "https://elsewhere"])), "is for others"),
                (try issuer.token(issuer.claims(pages.url, ["aud": nil])), "is for others"),
                (try issuer.token(issuer.claims(pages.url, ["sub": nil])), "has no subject"),
                (try issuer.token(issuer.claims("https://evil.example.org")), "not one that this server trusts"),
                (try issuer.token(issuer.claims(pages.url + "/")), "not one that this server trusts"),
                ("x", "Authentication failed"), ("a.b.c", "Authentication failed"),
            ] {
                let answer = try await signIn(token)
                #expect(answer.status == 401 && answer.text.contains(reason), "\(reason): \(answer.text)")
                #expect(answer.headers["x-authentication-token"] == nil)
            }
            // Nobody answers there: the client is to wait.
            #expect(try await signIn(try issuer.token(issuer.claims("https://127.0.0.1:1"))).status == 503)
        }
    }

    @Test("keys are read again when a token names one that is not known, and kept while the issuer is away")
    func keys() async throws {
        let issuer = try Issuer()
        let file = FileManager.default.temporaryDirectory.appending(path: "keys-\(UUID().uuidString).json")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(try issuer.keys(["r1"]).utf8).write(to: file)
        let url = "https://issuer.example.org"
        let trusted = TokenIssuer(
            TokenIssuer.Settings(url: url, audiences: ["https://pool.example.org"], keyFile: file.path))
        let old = try WebToken(try issuer.token(issuer.claims(url), algorithm: "RS256", key: "r1"))
        let new = try WebToken(try issuer.token(issuer.claims(url, ["exp": .integer(1 << 40)])))
        let now = Date().timeIntervalSince1970
        #expect(try await trusted.bearer(of: old, now: now).subject == "alice")
        try Data(try issuer.keys(["e1"]).utf8).write(to: file)
        // Not more often than every ten seconds.
        await #expect(throws: GatewayRefusal.self) { try await trusted.bearer(of: new, now: now + 1) }
        #expect(try await trusted.bearer(of: new, now: now + 20).subject == "alice")
        await #expect(throws: GatewayRefusal.self) { try await trusted.bearer(of: old, now: now + 20) }
        try FileManager.default.removeItem(at: file)
        #expect(try await trusted.bearer(of: new, now: now + 7200).subject == "alice")
        await #expect(throws: DirectoryFault.self) { try await trusted.bearer(of: new, now: now + 100_000) }
    }

    @Test("a configuration of another issuer, keys that are not over https, and no keys are refused")
    func configuration() async throws {
        let certificates = try await TestCertificates.shared()
        let issuer = try Issuer()
        for (name, place, keys) in [
            ("https://other.example.org", "", try issuer.keys()), (nil, "http://127.0.0.1:1/jwks", try issuer.keys()),
            (nil, nil, "{}"), (nil, nil, "no JSON"),
        ] as [(String?, String?, String)] {
            let pages = try PageServer(certificates)
            let jwks = place.map { $0.isEmpty ? pages.url + "/jwks" : $0 } ?? pages.url + "/jwks"
            let page: JSON = ["issuer": .string(name ?? pages.url), "jwks_uri": .string(jwks)]
            try pages.write(page.description, to: ".well-known/openid-configuration")
            try pages.write(keys, to: "jwks")
            let trusted = TokenIssuer(
                TokenIssuer.Settings(
                    url: pages.url, audiences: ["https://pool.example.org"],
                    authorityFile: certificates.certificate("ca")))
            let token = try WebToken(try issuer.token(issuer.claims(pages.url)))
            await #expect(throws: DirectoryFault.self) {
                try await trusted.bearer(of: token, now: Date().timeIntervalSince1970)
            }
        }
        let pages = try PageServer(certificates)
        let unverified = TokenIssuer(TokenIssuer.Settings(url: pages.url, audiences: ["https://pool.example.org"]))
        let token = try WebToken(try issuer.token(issuer.claims(pages.url)))
        await #expect(throws: DirectoryFault.self) {
            try await unverified.bearer(of: token, now: Date().timeIntervalSince1970)
        }
    }
}
