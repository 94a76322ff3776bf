import Foundation

/// A web server that takes files as WebDAV says (RFC 4918): `PUT` only into collections that are there, which `MKCOL`
/// makes one by one, and `GET`. A process of its own, in Python; it ends with the tests.
public final class WebDAVServer: Sendable {
    /// Whether it can be started.
    public static let isPossible = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
        FileManager.default.isExecutableFile(atPath: "\($0)/python3")
    }

    private static let script = """
        import http.server, os, sys, threading, urllib.parse
        root = sys.argv[1]
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def place(self):
                return root + urllib.parse.unquote(self.path)
            def answer(self, status, body=b""):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            def do_PUT(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not os.path.isdir(os.path.dirname(self.place())):
                    return self.answer(409)
                with open(self.place(), "wb") as file:
                    file.write(body)
                self.answer(201)
            def do_MKCOL(self):
                if os.path.exists(self.place()):
                    return self.answer(405)
                try:
                    os.mkdir(self.place())
                except FileNotFoundError:
                    return self.answer(409)
                self.answer(201)
            def do_GET(self):
                try:
                    with open(self.place(), "rb") as file:
                        self.answer(200, file.read())
                except OSError:
                    self.answer(404)
            def log_message(self, *arguments): pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        print(server.server_address[1], flush=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()
        """

    /// `http://127.0.0.1:PORT`.
    public let url: String
    /// Where the files lie.
    public let folder: String
    // Its input closes when this goes, and then it ends.
    private let process: ChildProcess

    /// Starts one over a new folder.
    public init() throws {
        folder = FileManager.default.temporaryDirectory.path + "/webdav-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        process = try ChildProcess("/usr/bin/env", ["python3", "-c", Self.script, folder], listeningTo: .output)
        let line = String(decoding: process.output.availableData, as: UTF8.self)
        guard let port = Int(line.trimmingCharacters(in: .newlines)) else {
            throw TestServerError(description: "the WebDAV server did not start: \(line)")
        }
        url = "http://127.0.0.1:\(port)"
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }
}
