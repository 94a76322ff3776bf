import CouchDB
import Foundation
import Testing

/// Against a TLS server of Python's with certificates made on the spot by openssl.
@Suite("TLS", .enabled(if: TLSServer.isPossible, "python3 or openssl is not installed"), .timeLimit(.minutes(1)))
struct TLSTests {
    private func configuration(_ server: TLSServer) throws -> ServerConfiguration {
        var configuration = try ServerConfiguration(url: "https://localhost:\(server.port)")
        configuration.retry = .never
        return configuration
    }

    @Test("does not trust a server that signed itself — GET /")
    func selfSigned() async throws {
        let server = try TLSServer()
        let client = try Server(configuration(server))
        let error = try #require(await #expect(throws: CouchDBError.self) { try await client.info() })
        #expect(error.code == .tls && error.attempted == "GET /")
    }

    @Test("trusts it when its certificate is the authority — GET /")
    func authorityFile() async throws {
        let server = try TLSServer()
        var configuration = try configuration(server)
        configuration.tls.authorityFile = server.folder + "/server.pem"
        #expect(try await Server(configuration).info().version == "3.5.0")
    }

    @Test("trusts what an authority folder with hashed names holds — GET /")
    func authorityFolder() async throws {
        let server = try TLSServer()
        try TLSServer.run(["openssl", "rehash", server.folder])
        var configuration = try configuration(server)
        configuration.tls.authorityFolder = server.folder
        #expect(try await Server(configuration).info().version == "3.5.0")
    }

    @Test("verification is off for the one host that was named, and for no other")
    func unverified() async throws {
        let server = try TLSServer()
        var configuration = try configuration(server)
        configuration.tls.unverifiedHost = "localhost"
        #expect(try await Server(configuration).info().version == "3.5.0")
        configuration.tls.unverifiedHost = "elsewhere"
        let client = try Server(configuration)
        await #expect { try await client.info() } throws: { CouchDBError.tls ~= $0 }
    }

    @Test("a certificate of another host is refused — GET /")
    func otherHost() async throws {
        let server = try TLSServer()
        var configuration = try ServerConfiguration(url: "https://127.0.0.1:\(server.port)")
        configuration.retry = .never
        configuration.tls.authorityFile = server.folder + "/server.pem"
        let client = try Server(configuration)
        await #expect { try await client.info() } throws: { CouchDBError.tls ~= $0 }
    }

    @Test("verification stays on after a lost connection: another certificate at the same address is refused — GET /")
    func reconnect() async throws {
        let first = try TLSServer()
        var configuration = try configuration(first)
        configuration.tls.authorityFile = first.folder + "/server.pem"
        let client = try Server(configuration)
        #expect(try await client.info().version == "3.5.0")
        first.stop()
        let second = try TLSServer(port: first.port)
        for _ in 0..<2 {
            await #expect { try await client.info() } throws: { CouchDBError.tls ~= $0 }
        }
        second.stop()
        let back = try TLSServer(port: first.port, certificateOf: first)
        #expect(try await client.info().version == "3.5.0")
        back.stop()
    }

    @Test("shows a client certificate, as two files or as one like an X.509 proxy — GET /")
    func clientCertificate() async throws {
        let server = try TLSServer(asksForCertificate: true)
        var configuration = try configuration(server)
        configuration.tls.authorityFile = server.folder + "/server.pem"
        let client = try Server(configuration)
        await #expect(throws: CouchDBError.self) { try await client.info() }
        configuration.tls.certificateFile = server.folder + "/client.pem"
        configuration.tls.keyFile = server.folder + "/client.key"
        #expect(try await Server(configuration).info().vendor == "client")
        let both = try ["client.pem", "client.key"].map {
            try String(contentsOfFile: server.folder + "/" + $0, encoding: .utf8)
        }
        let proxy = server.folder + "/proxy.pem"
        try both.joined().write(toFile: proxy, atomically: true, encoding: .utf8)
        configuration.tls = .proxyCertificate(proxy)
        configuration.tls.authorityFile = server.folder + "/server.pem"
        #expect(try await Server(configuration).info().vendor == "client")
    }

    @Test("a certificate file that is not there is one clear line")
    func missingFile() async throws {
        let server = try TLSServer()
        var configuration = try configuration(server)
        configuration.tls = .proxyCertificate("/nonexistent/x509up_u0")
        let client = try Server(configuration)
        let error = try #require(await #expect(throws: CouchDBError.self) { try await client.info() })
        #expect(error.code == .tls && error.description.contains("/nonexistent/x509up_u0"))
    }
}

/// A TLS server in a process of its own, which ends with the test.
final class TLSServer {
    static let isPossible = ["python3", "openssl"].allSatisfy { name in
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
            .contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(name)") }
    }

    private static let script = """
        import http.server, json, ssl, sys
        folder, asks = sys.argv[1], sys.argv[2] == "true"
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def do_GET(self):
                peer = self.connection.getpeercert() or {"subject": [[["commonName", "-"]]]}
                body = json.dumps({"version": "3.5.0", "vendor": {"name": peer["subject"][0][0][1]}}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            def log_message(self, *arguments): pass
        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *arguments): pass
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder + "/server.pem", folder + "/server.key")
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(folder + "/client.pem")
        server = Server(("127.0.0.1", int(sys.argv[3])), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        print(server.server_address[1], flush=True)
        server.serve_forever()
        """

    let folder: String
    let port: Int
    private let process = Process()

    init(asksForCertificate: Bool = false, port wanted: Int = 0, certificateOf other: TLSServer? = nil) throws {
        folder = FileManager.default.temporaryDirectory.path + "/couchdb-tls-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for (name, host) in [("server", "localhost"), ("client", "client")] {
            try Self.run([
                "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=\(host)",
                "-addext",
                "subjectAltName=DNS:\(host)", "-keyout", "\(folder)/\(name).key", "-out", "\(folder)/\(name).pem",
            ])
        }
        if let other {
            for file in ["server.key", "server.pem"] {
                try Data(contentsOf: URL(fileURLWithPath: other.folder + "/" + file)).write(
                    to: URL(fileURLWithPath: folder + "/" + file))
            }
        }
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "-c", Self.script, folder, "\(asksForCertificate)", "\(wanted)"]
        process.standardOutput = output
        try process.run()
        var line = Data()
        while line.last != 0x0A {
            let next = output.fileHandleForReading.availableData
            if next.isEmpty { break }
            line += next
        }
        port = Int(String(decoding: line.dropLast(), as: UTF8.self)) ?? 0
    }

    /// Ends it; its folder stays until nobody needs it any more.
    func stop() {
        guard process.isRunning else { return }
        // Children of a dispatch thread have its signals blocked, SIGTERM among them.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    deinit {
        stop()
        try? FileManager.default.removeItem(atPath: folder)
    }

    static func run(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
    }
}
