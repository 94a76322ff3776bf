import Foundation
import GridCertificates
import TestSupport
import Testing

@Suite("Certificates and proxies of the grid")
struct CertificateTests {
    private func identity(_ names: [String], authorities: String = "authorities") async throws -> GridIdentity {
        let certificates = try await TestCertificates.shared()
        let trusted = try TrustedAuthorities(path: "\(certificates.folder)/\(authorities)")
        return try await CertificateVerifier(trusted).identity(try names.map(certificates.der), now: Date())
    }

    @Test(
        "a person is known by the own name, whatever proxies were made of it",
        arguments: [
            (["alice"], "/DC=org/DC=example/CN=Alice Example", 0),
            (["alice", "ca"], "/DC=org/DC=example/CN=Alice Example", 0),
            (["bob", "between"], "/DC=org/DC=example/CN=Bob/CN=host/x.example.org", 0),
            (["proxy", "alice"], "/DC=org/DC=example/CN=Alice Example", 1),
            (["proxy", "ca", "alice"], "/DC=org/DC=example/CN=Alice Example", 1),
            (["last", "alice"], "/DC=org/DC=example/CN=Alice Example", 1),
            (["limited", "alice"], "/DC=org/DC=example/CN=Alice Example", 1),
            (["two", "proxy", "alice"], "/DC=org/DC=example/CN=Alice Example", 2),
            (["three", "two", "proxy", "alice"], "/DC=org/DC=example/CN=Alice Example", 3),
        ])
    func good(names: [String], subject: String, proxies: Int) async throws {
        for authorities in ["authorities", "ca.pem"] {
            let identity = try await identity(names, authorities: authorities)
            #expect(identity.subject == SubjectName(subject) && identity.proxyCount == proxies)
        }
    }

    @Test(
        "what does not follow the rules is refused, with the reason",
        arguments: [
            ([], "there is no certificate"), (["expired"], "not valid"), (["foreign"], "no trusted authority"),
            (["foreign", "other"], "no trusted authority"), (["bob"], "no trusted authority"),
            (["ca"], "of an authority"),
            (["web"], "not for clients"), (["gone"], "was revoked"), (["proxy"], "was not sent along"),
            (["proxy", "bob", "between"], "was not sent along"), (["old", "alice"], "the proxy has expired"),
            (["proxy", "expired"], "another key"), (["forged", "alice"], "another key"),
            (["forged", "foreign"], "no trusted authority"), (["pretended", "ca"], "an authority signed the proxy"),
            (["independent", "alice"], "none of its signer's rights"), (["strange", "alice"], "is not understood"),
            (["mild", "alice"], "not critical"), (["named", "alice"], "alternative names"),
            (["mighty", "alice"], "says to be an authority"), (["renamed", "alice"], "one CN more"),
            (["beyond", "last", "alice"], "may not sign so many"), (["wide", "limited", "alice"], "signed a full one"),
            (["plain", "alice"], "not valid"), (["unheard", "mute"], "may not sign"),
            (["two", "alice"], "was not sent"),
        ])
    func bad(names: [String], reason: String) async throws {
        await #expect {
            try await self.identity(names)
        } throws: { error in
            let text = (error as? CertificateRefusal)?.description ?? "another error: \(error)"
            if !text.contains(reason) { print("\(names): \(text)") }
            return text.contains(reason)
        }
    }

    @Test("the end is that of the first certificate that ends, and bytes that are no certificate are refused")
    func edges() async throws {
        let identity = try await identity(["proxy", "alice"])
        #expect(identity.validUntil > Date() && identity.validUntil < Date(timeIntervalSinceNow: 11 * 86_400))
        let certificates = try await TestCertificates.shared()
        let verifier = CertificateVerifier(try TrustedAuthorities(path: certificates.certificate("ca")))
        for bytes: [UInt8] in [[], [0x30], Array(repeating: 0x30, count: 10_000)] {
            await #expect(throws: CertificateRefusal.self) { try await verifier.identity([bytes], now: Date()) }
        }
        let alice = try certificates.der("alice")
        await #expect(throws: CertificateRefusal.self) {
            try await verifier.identity(Array(repeating: alice, count: 21), now: Date())
        }
        #expect(throws: TrustedAuthorities.Fault.self) {
            try TrustedAuthorities(path: certificates.certificate("alice"))
        }
        #expect(throws: TrustedAuthorities.Fault.self) { try TrustedAuthorities(path: "/nowhere") }
        #expect(try TrustedAuthorities(path: certificates.folder + "/authorities").faults.count == 1)
    }
}

@Suite("Names of certificates' owners")
struct SubjectNameTests {
    @Test(
        "are the same in both forms",
        arguments: [
            ("/DC=org/DC=example/CN=Alice Example", "CN=Alice Example,DC=example,DC=org"),
            ("/DC=org/CN=a", "cn = a , dc = ORG"), ("/C=CH/O=CERN/CN=x/emailAddress=a@b.c", "E=A@b.c,CN=x,O=CERN,C=CH"),
            ("/CN=host/x.example.org", "CN=host/x.example.org"), ("/O=a, b/CN=c", "CN=c,O=a\\, b"),
            ("/O=a, b/CN=c", "CN=c,O=\"a, b\""), ("/CN=a=b", "CN=a\\=b"), ("/CN=é", "CN=\\C3\\A9"),
            ("/UID=u/CN=n", "CN=n,0.9.2342.19200300.100.1.1=u"), ("/CN=a ", "CN=a\\ "), ("/CN=a/b=c", "CN=a/b\\=c"),
        ])
    func same(slashed: String, comma: String) throws {
        #expect(try #require(SubjectName(slashed)) == #require(SubjectName(comma)))
    }

    @Test(
        "are others when any part is another, in another order or of another kind",
        arguments: [
            ("/DC=org/CN=a", "/CN=a/DC=org"), ("/CN=a", "/CN=A"), ("/CN=a", "/O=a"), ("/CN=a", "/CN=a/CN=1"),
            ("/CN=x,CN=alice", "CN=alice,CN=x"), ("/O=x/CN=a", "CN=a\\,O=x"),
        ])
    func different(left: String, right: String) throws {
        #expect(try #require(SubjectName(left)) != #require(SubjectName(right)))
    }

    @Test(
        "are not read of what is none",
        arguments: ["", "/", "alice", "/alice", "CN=a,", "CN=a,b", "CN=\"a", "CN=a\\", "=a"])
    func none(text: String) { #expect(SubjectName(text) == nil) }
}
