import Foundation

/// Serves the files of a folder over HTTPS, such as what an issuer of tokens has at its well-known address. It ends when this
/// goes.
public final class PageServer: Sendable {
    private static let script = """
        import http.server, ssl, sys, threading
        folder, certificate, key = sys.argv[1:4]
        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments): super().__init__(*arguments, directory=folder)
            def log_message(self, *arguments): pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        print(server.server_address[1], flush=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()
        """

    /// `https://127.0.0.1:PORT`.
    public let url: String
    /// Where the files lie.
    public let folder: String
    // Its input closes when this goes, and then it ends.
    private let process: AudibleProcess

    /// Starts one over a new folder.
    public init(_ certificates: TestCertificates) throws {
        folder = FileManager.default.temporaryDirectory.path + "/pages-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        process = try AudibleProcess(
            "/usr/bin/env",
            ["python3", "-c", Self.script, folder, certificates.certificate("server"), certificates.key("server")],
            listeningTo: .output)
        let line = String(decoding: process.output.availableData, as: UTF8.self)
        guard let port = Int(line.trimmingCharacters(in: .newlines)) else {
            throw TestServerError(description: "the page server did not start: \(line)")
        }
        url = "https://127.0.0.1:\(port)"
    }

    /// Writes a page.
    public func write(_ text: String, to name: String) throws {
        let place = URL(fileURLWithPath: "\(folder)/\(name)")
        try FileManager.default.createDirectory(
            at: place.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: place)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }
}
