import CouchDocument
import Crypto
import Foundation
import Testing
import TokenPool

@testable import Gateway

@Suite("Guessing passwords, and asking too often", .serialized)
struct GuessingTests {
    private static func md5(_ text: String) -> String { hexadecimal(Insecure.MD5.hash(data: Array(text.utf8))) }

    /// Answers a challenge of the server as the clients' library does.
    private static func digest(_ dd: Dispatching, _ user: String, _ password: String) async throws -> [String: String] {
        let challenge = try await dd.send("GET", "/auth/auth?method=digest").headers["www-authenticate"] ?? ""
        let nonce = try #require(DigestChallenge.fields(challenge)["nonce"])
        let uri = "/_pool/dd/auth/auth?method=digest"
        let response = md5("\(Catalog.digestSecret(user, password)):\(nonce):00000001:c:auth:\(md5("GET:" + uri))")
        return [
            "Authorization": """
            Digest username="\(user)", realm="metacat", nonce="\(nonce)", uri="\(uri)", response="\(response)", \
            algorithm="MD5", qop="auth", nc=00000001, cnonce="c"
            """
        ]
    }

    @Test("a digest is as good as the password, once; overheard, it opens nothing")
    func replay() async throws {
        try await Dispatching.run { dd in
            let headers = try await Self.digest(dd, "alice", "pw-alice")
            let first = try await dd.send("GET", "/auth/auth?method=digest", headers: headers)
            #expect(first.status == 200 && first.headers["x-authentication-token"] != nil)
            let second = try await dd.send("GET", "/auth/auth?method=digest", headers: headers)
            #expect(second.status == 401 && second.headers["x-authentication-token"] == nil)
        }
    }

    @Test(
        "five wrong guesses lock the name out, in whichever way they were made; others are not locked",
        arguments: [false, true])
    func lockout(inFrontOfAnotherStore: Bool) async throws {
        try await Dispatching.run(isFront: inFrontOfAnotherStore) { dd in
            for guess in 0..<5 {
                if guess % 2 == 0 {
                    let headers = try await Self.digest(dd, "alice", "no\(guess)")
                    let answer = try await dd.send("GET", "/auth/auth?method=digest", headers: headers)
                    #expect(answer.text == "Authentication failed\n")
                } else {
                    let answer = try await dd.send("POST", "/auth/auth?method=ldap", raw: "alice:no\(guess)")
                    #expect(answer.text == "Authentication failed\n")
                }
            }
            let headers = try await Self.digest(dd, "alice", "pw-alice")
            let right = try await dd.send("GET", "/auth/auth?method=digest", headers: headers)
            #expect(right.status == 401 && right.text == "Too many wrong passwords: try again later\n")
            let password = try await dd.send("POST", "/auth/auth?method=ldap", raw: "alice:pw-alice")
            #expect(password.status == 401 && password.text == "Too many wrong passwords: try again later\n")
            _ = try await dd.token("bob")
        }
    }

    @Test("who asks too often is told to wait with 503, as the clients understand it; others go on")
    func rates() async throws {
        let limits = "sign_in:\n  limits:\n    requests: 1\n    sign_ins: 1\n"
        try await Dispatching.run(configuration: limits) { dd in
            let (alice, bob) = (try await dd.token("alice"), try await dd.token("bob"))
            var refused: Dispatching.Answer?
            for _ in 0..<60 where refused == nil {
                let answer = try await dd.send("GET", "/auth/whoami", token: alice)
                if answer.status != 200 { refused = answer }
            }
            #expect(refused?.status == 503 && refused?.headers["retry-after"] == "1")
            #expect(try await dd.send("GET", "/auth/whoami", token: bob).status == 200)
            var unsigned: Dispatching.Answer?
            for _ in 0..<60 where unsigned == nil {
                let answer = try await dd.send("GET", "/auth/auth?method=digest")
                if answer.status != 401 { unsigned = answer }
            }
            #expect(unsigned?.status == 503)
        }
    }
}
