import CouchDB
import CouchDocument
import Foundation
import LDAPDirectory
import TestSupport
import Testing

@Suite(
    "People of an LDAP server", .serialized,
    .enabled("slapd is installed: apt-get install slapd") {
        if !LDAPServer.isInstalled { print("skipped: there is no /usr/sbin/slapd") }
        return LDAPServer.isInstalled
    })
struct LDAPTests {
    private static let entries = """
        dn: dc=example,dc=org
        objectClass: dcObject
        objectClass: organization
        o: Example
        dc: example

        dn: ou=people,dc=example,dc=org
        objectClass: organizationalUnit
        ou: people

        dn: ou=groups,dc=example,dc=org
        objectClass: organizationalUnit
        ou: groups

        \(person("lily", "pw-lily"))
        \(person("nora", "pw-nora"))
        \(person("frank", "pw-frank"))
        \(person("alice", "ldap-alice"))
        \(person("admin", "ldap-admin"))
        \(person("o'hara, \"x\"+y=z;<a>#/", "pw-odd", dn: "o'hara\\, \\\"x\\\"\\+y\\=z\\;\\<a\\>#/"))
        dn: cn=grid,ou=groups,dc=example,dc=org
        objectClass: groupOfNames
        cn: grid
        member: uid=lily,ou=people,dc=example,dc=org
        member: uid=o'hara\\, \\"x\\"\\+y\\=z\\;\\<a\\>#/,ou=people,dc=example,dc=org

        """

    private static func person(_ name: String, _ password: String, dn: String? = nil) -> String {
        """
        dn: uid=\(dn ?? name),ou=people,dc=example,dc=org
        objectClass: inetOrgPerson
        uid: \(name)
        cn: \(name)
        sn: x
        userPassword: \(password)

        """
    }

    private static let server = Task { try LDAPServer(try await TestCertificates.shared(), entries: entries) }

    private static func settings(_ change: (inout LDAPSettings) -> Void = { _ in }) async throws -> LDAPSettings {
        var settings = LDAPSettings(
            url: try await server.value.url, startsTLS: true,
            authorityFile: try await TestCertificates.shared().certificate("ca"),
            userDN: "uid={user},ou=people,dc=example,dc=org", timeLimit: .seconds(5),
            group: LDAPSettings.Group(base: "ou=groups,dc=example,dc=org", filter: "(&(cn=grid)(member={dn}))"))
        change(&settings)
        return settings
    }

    private static func check(_ name: String, _ password: String, _ settings: LDAPSettings) async throws
        -> LDAPDirectory.Outcome
    {
        try await LDAPDirectory(settings).check(name: name, password: password)
    }

    @Test("their passwords are right or wrong, over StartTLS and ldaps, and groups tell who is welcome")
    func passwords() async throws {
        let secure = try await Self.settings {
            $0.startsTLS = false
            $0.url = ""
        }
        var ldaps = secure
        ldaps.url = try await Self.server.value.secureURL
        for settings in [try await Self.settings(), ldaps] {
            #expect(try await Self.check("lily", "pw-lily", settings) == .right(isMember: true))
            #expect(try await Self.check("nora", "pw-nora", settings) == .right(isMember: false))
            #expect(try await Self.check("lily", "pw-nora", settings) == .wrong)
            #expect(try await Self.check("nobody", "pw", settings) == .wrong)
        }
    }

    @Test(
        "an empty password, which servers take for nobody's, is wrong; so is every trick with names",
        arguments: [
            ("lily", ""), ("", "pw-lily"), ("", ""), ("lily\u{0}", "pw-lily"), ("lily", "pw-lily\u{0}"),
            ("lily,ou=people", "pw-lily"), ("nobody,ou=people,dc=example,dc=org", ""), ("*", "pw-lily"),
            ("li*", "pw-lily"),
            ("lily)(uid=*", "pw-lily"), ("lily+cn=lily", "pw-lily"), ("#6c696c79", "pw-lily"), ("\\6cily", "pw-lily"),
        ])
    func tricks(name: String, password: String) async throws {
        #expect(try await Self.check(name, password, try await Self.settings()) == .wrong)
    }

    @Test("a name with every sign that has a meaning in names and filters is a name")
    func oddName() async throws {
        let name = "o'hara, \"x\"+y=z;<a>#/"
        #expect(try await Self.check(name, "pw-odd", try await Self.settings()) == .right(isMember: true))
        let byName = try await Self.settings { $0.group?.filter = "(&(objectClass=person)(uid={user}))" }
        var people = byName
        people.group?.base = "ou=people,dc=example,dc=org"
        #expect(try await Self.check(name, "pw-odd", people) == .right(isMember: true))
    }

    @Test("names are escaped as RFC 4514 and RFC 4515 say")
    func escaping() {
        #expect(
            LDAPSettings.dnEscaped(" a,b+c\"d\\e<f>g;h=i#j ") == "\\20a\\2cb\\2bc\\22d\\5ce\\3cf\\3eg\\3bh\\3di#j\\20")
        #expect(LDAPSettings.dnEscaped("#é\u{0}") == "\\23é\\00")
        #expect(LDAPSettings.filterEscaped("a*(b)\\c\u{0}") == "a\\2a\\28b\\29\\5cc\\00")
        let settings = LDAPSettings(url: "", startsTLS: false, userDN: "uid={user},ou={x},o={user}")
        #expect(settings.dn(of: "{user},") == "uid={user}\\2c,ou={x},o={user}\\2c")
    }

    @Test("who is no LDAP server, does not answer, or shows another authority's certificate, is asked nothing")
    func faults() async throws {
        let other = try await TestCertificates.shared().certificate("other")
        let silent = try SilentPeer()
        for settings in [
            try await Self.settings { $0.authorityFile = other },
            try await Self.settings { $0.url = "ldap://127.0.0.1:1" },
            try await Self.settings {
                $0.url = "ldap://127.0.0.1:\(silent.port)"
                $0.timeLimit = .seconds(1)
            },
            try await Self.settings {
                $0.url = "ldaps://127.0.0.1:\(silent.port)"
                $0.startsTLS = false
                $0.timeLimit = .seconds(1)
            },
        ] {
            await #expect(throws: LDAPFault.self) { try await Self.check("lily", "pw-lily", settings) }
        }
    }

    @Test(
        "sign in at the dispatcher: those who are known, those of the group; nobody by a name that has a password here")
    func dispatcher() async throws {
        let authorities = try await TestCertificates.shared().certificate("ca")
        let configuration = """
            sign_in:
              ldap:
                url: \(try await Self.server.value.secureURL)
                authorities: \(authorities)
                user: uid={user},ou=people,dc=example,dc=org
                newcomers:
                  base: ou=groups,dc=example,dc=org
                  filter: (&(cn=grid)(member={dn}))
                  roles: [production]
            """
        try await Dispatching.run(configuration: configuration) { dd in
            func signIn(_ pair: String) async throws -> Dispatching.Answer {
                try await dd.send("POST", "/auth/auth?method=ldap", raw: pair)
            }
            let users = try dd.server.client().database("_users")
            let frank: JSONObject = ["name": "frank", "type": "user", "roles": []]
            try await users.save(Document(id: "org.couchdb.user:frank", fields: frank))
            // The pool's own password counts, and that alone.
            #expect(try await signIn("alice:pw-alice").status == 200)
            #expect(try await signIn("alice:ldap-alice").status == 401)
            #expect(try await signIn("admin:ldap-admin").status == 401)
            #expect(try await signIn("frank:pw-frank").status == 200)
            #expect(try await signIn("frank:").status == 401)
            // Of the group, and made known with its role.
            let lily = try await signIn("lily:pw-lily")
            let token = try #require(lily.headers["x-authentication-token"], "\(lily.text)")
            #expect(try await dd.send("GET", "/auth/whoami", token: token).text == "lily")
            #expect(try await users.document("org.couchdb.user:lily")["roles"] == ["production"])
            let number = try await dd.create(["a"], token: try await dd.token("alice"), ["roles": ["production"]])
            let next = "/data/next_file?project_id=\(number)&worker_id=w"
            #expect(try await dd.send("GET", next, token: token).status == 200)
            // Right, but not of the group; and another spelling of somebody who is.
            let nora = try await signIn("nora:pw-nora")
            #expect(nora.status == 401 && nora.text.contains("not known in this pool"))
            #expect(try await signIn("LILY:pw-lily").status == 401)
            #expect(try await users.documentIfPresent("org.couchdb.user:nora") == nil)
            // Guesses are counted here as well, the empty one before included.
            for _ in 0..<4 { #expect(try await signIn("frank:no").text == "Authentication failed\n") }
            #expect(try await signIn("frank:pw-frank").text == "Too many wrong passwords: try again later\n")
        }
    }

    @Test("while the LDAP server is away the clients are told to wait, and the pool's own people sign in")
    func away() async throws {
        let configuration = """
            sign_in:
              ldap:
                url: ldap://127.0.0.1:1
                start_tls: false
                user: uid={user},o=x
            """
        try await Dispatching.run(configuration: configuration) { dd in
            #expect(try await dd.send("POST", "/auth/auth?method=ldap", raw: "lily:pw-lily").status == 503)
            _ = try await dd.token("alice")
        }
    }
}

/// A socket that takes connections and says nothing.
private final class SilentPeer: Sendable {
    let port: Int
    private let socket: Int32

    init() throws {
        socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let socket = socket
        let code = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, length) + listen(socket, 10) + getsockname(socket, $0, &length)
            }
        }
        guard code == 0 else { throw Dispatching.Failure(description: "no socket") }
        port = Int(address.sin_port.bigEndian)
    }

    deinit { close(socket) }
}
