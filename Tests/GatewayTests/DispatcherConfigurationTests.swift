import CouchDocument
import Foundation
import TestSupport
import Testing

@Suite("The dispatcher's configuration file")
struct DispatcherConfigurationTests {
    @Test(
        "what is wrong in it is told in one line with file, line and key, and the server does not start",
        arguments: [
            ("sign_in:\n  token_lifetime: soon\n", ":2: sign_in.token_lifetime: a duration such as 90s"),
            ("\nsing_in: {}\n", ":2: sing_in: no such key; expected sign_in, replicas, tape"),
            ("sign_in: 3\n", ":1: sign_in: a mapping is expected, not the number 3"),
            ("sign_in:\n  limits:\n    requests: -1\n", ":3: sign_in.limits.requests: a whole number from 0"),
            ("sign_in: {}\nsign_in: {}\n", "appears twice"),
            ("sign_in: [\n", "this is no YAML"),
            (
                "sign_in:\n  ldap:\n    url: ldap://a.example.org\n    start_tls: false\n    user: uid={user}\n",
                ":4: sign_in.ldap.start_tls: true is expected: passwords would go over the network in clear"
            ),
            ("sign_in:\n  ldap:\n    url: http://x\n    user: uid={user}\n", ":3: sign_in.ldap.url: ldaps://HOST"),
            ("sign_in:\n  ldap:\n    url: ldaps://x\n    user: uid=x\n", ":4: sign_in.ldap.user: {user} is expected"),
            ("sign_in:\n  ldap: {url: 'ldaps://x'}\n", ":2: sign_in.ldap.user: an entry such as"),
            (
                "sign_in:\n  ldap:\n    url: ldaps://x\n    user: uid={user}\n    newcomers: {base: o=x, filter: cn=x}\n",
                ":5: sign_in.ldap.newcomers.filter: {user} or {dn} is expected"
            ),
            (
                "sign_in:\n  issuers:\n    - issuer: http://x\n      audience: y\n",
                ":3: sign_in.issuers[1].issuer: https://"
            ),
            ("sign_in:\n  issuers:\n    - issuer: https://x\n", ":3: sign_in.issuers[1].audience: whom the tokens"),
            (
                "sign_in:\n  issuers:\n    - issuer: https://x\n      audience: y\n      keys: /nowhere\n",
                ":5: sign_in.issuers[1].keys: a file is expected"
            ),
        ])
    func fault(text: String, expected: String) async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "dd-\(UUID().uuidString).yaml").path
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        defer { try? FileManager.default.removeItem(atPath: file) }
        let server = try await TestServer.refused(["--dispatcher-config", file])
        #expect(server.status == 2)
        #expect(server.text.hasPrefix("tokenpoold: \(file)") && server.text.contains(expected), "\(server.text)")
        #expect(server.text.split(separator: "\n").count == 1)
    }

    @Test("a file that is not there is told, and the server does not start")
    func missing() async throws {
        let server = try await TestServer.refused(["--dispatcher-config", "/nowhere/x.yaml"])
        #expect(server.status == 3 && server.text == "tokenpoold: there is no file /nowhere/x.yaml\n")
    }

    @Test("a token lives as long as it says")
    func lifetime() async throws {
        try await Dispatching.run(configuration: "sign_in:\n  token_lifetime: 2h\n") { dd in
            let claims = try Dispatching.claims(try await dd.token("alice"))
            let (start, end) = (claims["iat"]?.numberValue ?? 0, claims["exp"]?.numberValue ?? 0)
            #expect(end - start == 7200)
        }
    }
}
