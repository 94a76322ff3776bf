import CouchDB
import CouchDocument
import DesignDocuments
import Foundation
import TestSupport
import Testing
import TokenPool

@Suite("TLS of the server, and signing in by certificate", .serialized)
struct TLSTests {
    /// A server over TLS with a dispatcher, whose user alice has a certificate.
    private static func run(
        _ more: [String] = [], _ body: (TestServer, Server, TestCertificates) async throws -> Void
    ) async throws {
        let certificates = try await TestCertificates.shared()
        let folder = FileManager.default.temporaryDirectory.path + "/tls-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for end in ["pem", "key"] {
            try FileManager.default.copyItem(
                atPath: "\(certificates.folder)/server.\(end)", toPath: "\(folder)/server.\(end)")
        }
        let server = try await TestServer.start(
            arguments: ["--tls-certificate", folder + "/server.pem", "--tls-key", folder + "/server.key"] + more)
        do {
            #expect(server.url.hasPrefix("https://"))
            var configuration = try ServerConfiguration(url: server.url)
            configuration.tls.authorityFile = certificates.certificate("ca")
            let client = try Server(configuration)
            try await body(server, client, certificates)
        } catch {
            try await server.kill()
            throw error
        }
        try await server.kill()
    }

    /// The status, the header fields and the body that curl gets.
    private static func curl(_ server: TestServer, _ path: String, _ arguments: [String]) async throws -> (
        status: Int, headers: [String: String], body: String
    ) {
        let place = URLComponents(string: server.url)?.port.map { "https://127.0.0.1:\($0)\(path)" } ?? ""
        let result = try await Tool.run("/usr/bin/env", ["curl", "-s", "-i", "--max-time", "30"] + arguments + [place])
        let halves = result.output.replacing("\r\n", with: "\n").split(separator: "\n\n", maxSplits: 1)
        let lines = halves.first?.split(separator: "\n") ?? []
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let pair = line.split(separator: ":", maxSplits: 1)
            if pair.count == 2 { headers[pair[0].lowercased()] = pair[1].trimmingCharacters(in: .whitespaces) }
        }
        let status = lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) }
        return (status ?? 0, headers, halves.count > 1 ? String(halves[1]) : "")
    }

    @Test("all of CouchDB's interface is there over https, feeds and replications included; http and old TLS are not")
    func couch() async throws {
        try await Self.run { server, client, certificates in
            let database = try await client.createDatabase("one")
            try await database.save(Document(id: "a", fields: ["n": 1]))
            let large = String(repeating: "x", count: 3 << 20)
            try await database.save(Document(id: "large", fields: ["s": .string(large)]))
            #expect(try await database.document("large")["s"]?.stringValue == large)
            var seen: [String] = []
            for try await change in database.changeFeed() {
                seen.append(change.id)
                if seen.count == 2 { break }
            }
            #expect(seen == ["a", "large"])
            // The server reaches itself, whatever its certificate names.
            let copy: JSON = ["source": "one", "target": "two", "create_target": true]
            let report = try await client.request("POST", "/_replicate", body: .json(copy)).json()
            #expect(report["ok"] == true)
            #expect(try await client.database("two").info().documentCount == 2)
            let session = try await Self.curl(
                server, "/_session",
                ["--cacert", certificates.certificate("ca"), "-d", "name=admin&password=secret"])
            #expect(session.status == 200 && session.headers["set-cookie"]?.hasSuffix("; Secure") == true)
            let unknown = try await Self.curl(server, "/", ["--cacert", certificates.certificate("other")])
            #expect(unknown.status == 0)
            let old = try await Self.curl(
                server, "/",
                ["--cacert", certificates.certificate("ca"), "--tls-max", "1.1", "--ciphers", "ALL@SECLEVEL=0"])
            #expect(old.status == 0)
            let plain = try await Tool.run(
                "/usr/bin/env",
                ["curl", "-s", "-i", "--max-time", "30", server.url.replacing("https://", with: "http://")])
            #expect(plain.status != 0 && plain.output.isEmpty)
        }
    }

    private static func prepare(_ client: Server) async throws {
        let database = try await client.createDatabase("tokenpool")
        for design in DesignDocuments.all { try await database.push(design) }
        let catalogue: JSON = [
            "users": [
                [
                    "username": "alice", "password": "pw-alice",
                    "x509": ["CN=Alice Example,DC=example,DC=org", "/DC=org/DC=example/CN=Gone"],
                ],
                ["username": "bob", "password": "pw-bob", "x509": ["/DC=org/DC=example/CN=Bob/CN=host/x.example.org"]],
            ]
        ]
        _ = try await Projects(Pool(database: database)).load(try Catalog(catalogue))
    }

    @Test("a certificate or a proxy of it signs its owner in, and nobody else")
    func certificates() async throws {
        let folder = try await TestCertificates.shared().folder
        try await Self.run(["--tls-client-ca", folder + "/authorities"]) { server, client, certificates in
            try await Self.prepare(client)
            func signIn(_ chain: [String], as user: String) async throws -> (
                status: Int, headers: [String: String], body: String
            ) {
                var arguments = ["--cacert", certificates.certificate("ca")]
                if let first = chain.first {
                    arguments += ["--cert", try certificates.chain(chain), "--key", certificates.key(first)]
                }
                return try await Self.curl(server, "/_pool/dd/auth/auth?method=x509&username=\(user)", arguments)
            }
            for chain in [["alice"], ["proxy", "alice"], ["two", "proxy", "alice"], ["limited", "alice"]] {
                let answer = try await signIn(chain, as: "alice")
                let token = try #require(answer.headers["x-authentication-token"], "\(chain): \(answer.body)")
                #expect(answer.status == 200 && answer.body.isEmpty)
                let who = try await Self.curl(
                    server, "/_pool/dd/auth/whoami",
                    ["--cacert", certificates.certificate("ca"), "-H", "X-Authentication-Token: \(token)"])
                #expect(who.body == "alice")
            }
            #expect(try await signIn(["bob", "between"], as: "bob").status == 200)
            for (chain, user, reason) in [
                ([], "alice", "No client certificate was shown"),
                (["bob", "between"], "alice", "no certificate of alice"),
                (["proxy", "alice"], "bob", "no certificate of bob"), (["alice"], "nobody", "no certificate of nobody"),
                (["alice"], "admin", "no certificate of admin"), (["old", "alice"], "alice", "the proxy has expired"),
                (["forged", "alice"], "alice", "another key"), (["pretended", "ca"], "alice", "authority signed"),
                (["foreign"], "alice", "no trusted authority"), (["expired"], "alice", "not valid"),
                (["gone"], "alice", "was revoked"),
            ] {
                let answer = try await signIn(chain, as: user)
                #expect(answer.status == 401 && answer.body.contains(reason), "\(chain): \(answer.body)")
                #expect(answer.headers["x-authentication-token"] == nil)
            }
            let name = try await Self.curl(
                server, "/_pool/dd/auth/mydn",
                [
                    "--cacert", certificates.certificate("ca"), "--cert", try certificates.chain(["proxy", "alice"]),
                    "--key", certificates.key("proxy"),
                ])
            #expect(name.body == "/DC=org/DC=example/CN=Alice Example")
        }
    }

    @Test("a new certificate is shown after SIGHUP, and a broken one changes nothing")
    func reload() async throws {
        try await Self.run { server, client, certificates in
            let process = try #require(server.processID)
            func shown() async throws -> String {
                let port = URLComponents(string: server.url)?.port ?? 0
                let script =
                    "openssl s_client -connect 127.0.0.1:\(port) </dev/null 2>/dev/null | openssl x509 -noout -serial"
                return try await Tool.run("/bin/sh", ["-c", script]).output
            }
            func serial(_ name: String) async throws -> String {
                try await Tool.run(
                    "/usr/bin/env", ["openssl", "x509", "-in", certificates.certificate(name), "-noout", "-serial"]
                ).output
            }
            let place = try #require(try Self.certificateFile(of: process))
            #expect(try await shown() == serial("server"))
            try Data("broken".utf8).write(to: URL(fileURLWithPath: place))
            kill(process, SIGHUP)
            #expect(try await client.info().version == "3.5.0")
            #expect(try await shown() == serial("server"))
            for end in ["pem", "key"] {
                let data = try Data(contentsOf: URL(fileURLWithPath: "\(certificates.folder)/server2.\(end)"))
                try data.write(to: URL(fileURLWithPath: place.replacing(".pem", with: ".\(end)")))
            }
            kill(process, SIGHUP)
            let wanted = try await serial("server2")
            var looks = 0
            // Each look is a handshake of another process: no need to wait between them.
            while try await shown() != wanted, looks < 500 { looks += 1 }
            #expect(try await shown() == wanted)
            _ = try await client.info()
        }
    }

    private static func certificateFile(of process: Int32) throws -> String? {
        let words = try String(contentsOfFile: "/proc/\(process)/cmdline", encoding: .utf8).split(separator: "\0")
        return words.firstIndex(of: "--tls-certificate").map { String(words[$0 + 1]) }
    }

    @Test(
        "what can not be is told in one line, and nothing is served",
        arguments: [
            (["--tls-certificate", "ca.pem"], 2, "give both or none"),
            (["--tls-client-ca", "ca.pem"], 2, "give --tls-certificate"),
            (["--tls-certificate", "/nowhere", "--tls-key", "server.key"], 3, "can not read /nowhere"),
            (["--tls-certificate", "server.pem", "--tls-key", "other.key"], 3, "no PEM certificate with its key"),
            (["--tls-certificate", "server.key", "--tls-key", "server.pem"], 3, "no PEM certificate with its key"),
            (
                ["--tls-certificate", "server.pem", "--tls-key", "server.key", "--tls-client-ca", "alice.pem"], 3,
                "has no certificate of an authority"
            ),
        ])
    func refused(arguments: [String], status: Int, reason: String) async throws {
        let folder = try await TestCertificates.shared().folder
        let places = arguments.map { $0.hasSuffix(".pem") || $0.hasSuffix(".key") ? "\(folder)/\($0)" : $0 }
        let data = FileManager.default.temporaryDirectory.path + "/refused-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: data) }
        let result = try await TestServer.refused(["--data", data, "--port", "0"] + places)
        #expect(result.status == Int32(status) && result.text.contains(reason), "\(result.text)")
    }
}
