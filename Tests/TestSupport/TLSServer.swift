import Foundation

/// A TLS server in a process of its own, which ends with the test.
package final class TLSServer {
    package static let isPossible = ["python3", "openssl"].allSatisfy { name in
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

    package let folder: String
    package let port: Int
    private let process = Process()

    package init(asksForCertificate: Bool = false, port wanted: Int = 0, certificateOf other: TLSServer? = nil) throws {
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
    package func stop() {
        guard process.isRunning else { return }
        // Children of a dispatch thread have its signals blocked, SIGTERM among them.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    deinit {
        stop()
        try? FileManager.default.removeItem(atPath: folder)
    }

    package static func run(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw TestServerError(
                description: "\(arguments.joined(separator: " ")): status \(process.terminationStatus)")
        }
    }
}
