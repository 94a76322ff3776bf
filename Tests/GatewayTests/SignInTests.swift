import CouchDocument
import Crypto
import Testing
import TokenPool
import WebTokens

@testable import Gateway

@Suite("Tokens and digests")
struct SignInTests {
    private let key = SymmetricKey(data: Array("k".utf8))

    @Test("a token says who and until when, to those who have the key, until it ends")
    func token() throws {
        let text = AccessToken(user: "alice", expires: 2000.5).text(key, now: 1000)
        let read = try AccessToken(text, key: key, now: 2000)
        #expect(read.user == "alice" && read.expires == 2000.5)
        #expect(throws: GatewayRefusal.self) { try AccessToken(text, key: key, now: 2001) }
        #expect(throws: GatewayRefusal.self) {
            try AccessToken(text, key: SymmetricKey(data: Array("other".utf8)), now: 1000)
        }
    }

    @Test("a token that was changed, or claims to need no signature, is none")
    func forged() throws {
        let text = AccessToken(user: "alice", expires: 2000).text(key, now: 1000)
        let parts = text.split(separator: ".").map(String.init)
        let none = WebToken.encode(#"{"alg":"none"}"#.utf8)
        let bob = WebToken.encode(#"{"iss":"tokenpool","sub":"bob","exp":2000.0}"#.utf8)
        for forged in [
            "", "a.b.c", "\(none).\(parts[1]).", "\(none).\(parts[1]).\(parts[2])", "\(parts[0]).\(bob).\(parts[2])",
            text + "A", String(text.dropLast()),
        ] {
            #expect(throws: GatewayRefusal.self, "\(forged)") { try AccessToken(forged, key: key, now: 1000) }
        }
    }

    private func md5(_ text: String) -> String { hexadecimal(Insecure.MD5.hash(data: Array(text.utf8))) }

    private func answer(_ challenge: DigestChallenge, _ now: Double, password: String = "pw", user: String = "alice")
        throws -> String
    {
        let nonce = try #require(DigestChallenge.fields(challenge.header(now: now))["nonce"])
        let uri = "/x/auth?method=digest"
        let first = Catalog.digestSecret(user, password)
        let response = md5("\(first):\(nonce):00000001:c:auth:\(md5("GET:" + uri))")
        return """
            Digest username="\(user)", realm="metacat", nonce="\(nonce)", uri="\(uri)", response="\(response)", \
            algorithm="MD5", qop="auth", nc=00000001, cnonce="c"
            """
    }

    private func check(_ challenge: DigestChallenge, _ answer: String, _ now: Double) async throws -> String? {
        try await challenge.user(answer, uri: "/auth?method=digest", now: now) { user in
            user == "alice" ? Catalog.digestSecret("alice", "pw") : nil
        } judge: { name, isRight in
            isRight()
        }
    }

    @Test("the right answer to a challenge is good once")
    func digest() async throws {
        let challenge = DigestChallenge()
        let right = try answer(challenge, 100)
        #expect(try await check(challenge, right, 101) == "alice")
        #expect(try await check(challenge, right, 101) == nil)
    }

    @Test("an answer stays used as long as its challenge could be good")
    func remembered() async throws {
        let challenge = DigestChallenge()
        for _ in 0..<3 {
            #expect(try await check(challenge, try answer(challenge, 100), 101) == "alice")
        }
        let late = try answer(challenge, 129)
        #expect(try await check(challenge, late, 129) == "alice")
        #expect(try await check(challenge, try answer(challenge, 131), 132) == "alice")
        #expect(try await check(challenge, late, 140) == nil)
        #expect(try await check(challenge, late, 158.9) == nil)
    }

    @Test("a wrong password, an old challenge, another gateway's and a made-up one are refused")
    func wrongDigest() async throws {
        let challenge = DigestChallenge()
        #expect(try await check(challenge, try answer(challenge, 100, password: "no"), 101) == nil)
        #expect(try await check(challenge, try answer(challenge, 100, user: "bob"), 101) == nil)
        #expect(try await check(challenge, try answer(challenge, 100), 131) == nil)
        #expect(try await check(challenge, try answer(DigestChallenge(), 100), 101) == nil)
        #expect(try await check(challenge, "Digest nonsense", 101) == nil)
        #expect(try await check(challenge, "Basic YTpi", 101) == nil)
    }
}
