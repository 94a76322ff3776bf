import Foundation

/// A web server that takes files as WebDAV says (RFC 4918): `PUT` only into collections that are there, which `MKCOL`
/// makes one by one, and `GET`. A process of its own, in Python; it ends with the tests.
///
/// Below `/to/PORT/` it is the door of a storage system: it sends who asks to the server at that port, with a token in the
/// URL; below `/round/` it sends everybody on and on.
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
                return root + urllib.parse.unquote(self.path.split("?")[0])
            def is_sent_on(self):
                with open(root + ".log", "a") as log:
                    print(self.command, self.path, self.headers["Authorization"] or "-", file=log)
                parts = self.path.split("/", 3)
                if self.command == "MKCOL" or parts[1] not in ("to", "round"):
                    return False
                if parts[1] == "round":
                    place = self.path + "x"
                elif parts[2] == "here":
                    place = "/" + parts[3]
                elif parts[2] == "ftp":
                    place = "ftp://127.0.0.1/" + parts[3]
                else:
                    place = "http://127.0.0.1:%s/%s?uuid=a+b/%%3D" % (parts[2], parts[3])
                self.send_response(302 if self.command == "GET" else 307)
                self.send_header("Location", place)
                self.send_header("Content-Length", "0")
                # What was to be written is not read.
                self.send_header("Connection", "close")
                self.end_headers()
                self.close_connection = True
                return True
            def handle_expect_100(self):
                # dCache sends on before the file comes.
                if self.path.startswith("/to/") or self.path.startswith("/round/"):
                    return True
                return super().handle_expect_100()
            def answer(self, status, body=b""):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            def do_PUT(self):
                if self.is_sent_on():
                    return
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not os.path.isdir(os.path.dirname(self.place())):
                    return self.answer(409)
                with open(self.place(), "wb") as file:
                    file.write(body)
                self.answer(201)
            def do_MKCOL(self):
                self.is_sent_on()
                if os.path.exists(self.place()):
                    return self.answer(405)
                try:
                    os.mkdir(self.place())
                except FileNotFoundError:
                    return self.answer(409)
                self.answer(201)
            def do_GET(self):
                if self.is_sent_on():
                    return
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
    private let process: AudibleProcess

    /// Starts one over a new folder.
    public init() throws {
        folder = FileManager.default.temporaryDirectory.path + "/webdav-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        process = try AudibleProcess("/usr/bin/env", ["python3", "-c", Self.script, folder], listeningTo: .output)
        let line = String(decoding: process.output.availableData, as: UTF8.self)
        guard let port = Int(line.trimmingCharacters(in: .newlines)) else {
            throw TestServerError(description: "the WebDAV server did not start: \(line)")
        }
        url = "http://127.0.0.1:\(port)"
    }

    /// What was asked, a line each: method, path with query, and `Authorization` or a dash.
    public var requests: [String] {
        get throws {
            try String(contentsOfFile: folder + ".log", encoding: .utf8).split(separator: "\n").map(String.init)
        }
    }

    deinit {
        for path in [folder, folder + ".log"] { try? FileManager.default.removeItem(atPath: path) }
    }
}
