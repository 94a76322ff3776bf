import CouchDocument
import Foundation
import TestSupport
import Testing

/// A server of a test's own whose limits the test sets, and which has no clients but the test. `COUCHDB_URL` is not used.
struct GuardedServer {
    let server: TestServer
    let variables: Variables

    static func start(_ settings: KeyValuePairs<String, String> = [:]) async throws -> GuardedServer {
        let guarded = try GuardedServer(try await TestServer.start(arguments: ["--no-janitor"]))
        try await guarded.set(settings)
        return guarded
    }

    private init(_ server: TestServer) throws {
        self.server = server
        variables = try Variables(url: server.url)
    }

    var port: Int { variables.port }

    /// Settings as `section/key`.
    func set(_ settings: KeyValuePairs<String, String>) async throws {
        for (name, value) in settings {
            let answer = try await request("PUT", "/_node/_local/_config/\(name)", JSON.string(value).description)
            #expect(answer.status == 200, "\(name)")
        }
    }

    /// The header that signs the admin in, with its line break.
    static let signIn = "Authorization: Basic \(Data("admin:secret".utf8).base64EncodedString())\r\n"

    /// The head of a request up to its empty line, for sockets.
    static func head(_ method: String, _ target: String, _ more: String = "") -> String {
        "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\n\(signIn)\(more)\r\n"
    }

    /// Sends a request on a connection of its own.
    func request(
        _ method: String, _ target: String, _ body: String? = nil, headers: [(name: String, value: String)] = [],
        user: String = "admin:secret"
    ) async throws -> RawAnswer {
        let credentials = Data(user.utf8).base64EncodedString()
        let own = RawConnection(host: variables.host, port: variables.port)
        return try await own.send(
            RawRequest(
                method: method, target: target,
                headers: [("Authorization", "Basic \(credentials)"), ("Content-Type", "application/json")] + headers,
                body: body.map { Array($0.utf8) }))
    }

    /// Whether the process that was started still answers.
    func isAlive() async throws -> Bool { try await request("GET", "/_up").status == 200 }
}
