import CouchDB
import CouchDocument
import Foundation
import Logging

/// The dispatcher of a server as Data Dispatcher's clients talk to it.
struct BenchDispatcher: Sendable {
    let server: Server
    let token: String

    static func signedIn(_ settings: Settings, logger: Logger) async throws -> BenchDispatcher {
        let address = URLComponents(string: settings.url)
        guard let user = address?.user ?? settings.user?.value, let password = settings.password ?? address?.password
        else {
            throw CommandFailure(message: "sign in: --url http://USER@HOST and --password-file", status: .usage)
        }
        let given = try settings.serverConfiguration(logger: logger)
        var configuration = try ServerConfiguration(url: given.url + "/_pool/dd")
        configuration.tls = given.tls
        configuration.maxConnections = 256
        let server = try Server(configuration)
        let answer = try await server.request(
            "POST", "/auth/auth", query: [("method", "ldap")], body: .bytes(Array("\(user):\(password)".utf8)))
        guard let token = answer.headers["x-authentication-token"] else {
            throw CommandFailure(message: "the dispatcher gave no token")
        }
        return BenchDispatcher(server: server, token: token)
    }

    private func send(
        _ method: String, _ page: String, _ query: [(String, String)] = [], body: RequestBody? = nil
    ) async throws -> Response {
        try await server.request(
            method, "/data/" + page, query: query, headers: [("X-Authentication-Token", token)], body: body)
    }

    /// The body that makes a project of files that need no replicas.
    static func draft(_ files: Int, workerTimeout: Int) -> [UInt8] {
        let list = (0..<files).map { number -> JSON in
            ["namespace": "bench", "name": .string(name(number)), "attributes": [:]]
        }
        let body: JSON = [
            "files": .array(list), "project_attributes": ["virtual": true], "query": nil,
            "worker_timeout": .integer(workerTimeout), "idle_timeout": 259200, "users": [], "roles": [],
        ]
        return body.encoded()
    }

    private static func name(_ number: Int) -> String { "file_" + String(format: "%08d", number) }

    /// Makes a project; the answer has all files and is not taken apart.
    func create(_ draft: [UInt8]) async throws -> Int {
        let answer = try await send("POST", "create_project", body: .bytes(draft)).body
        // {"project_id":17,…
        let digits = answer.drop { !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            .prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard let number = Int(String(decoding: digits, as: UTF8.self)) else {
            throw CommandFailure(
                message: "the dispatcher made no project: \(String(decoding: answer.prefix(200), as: UTF8.self))")
        }
        return number
    }

    func delete(_ number: Int) async throws {
        _ = try await send("GET", "delete_project", [("project_id", "\(number)")])
    }

    /// Reserves a file and answers its name; `nil` when there is none.
    func next(_ number: Int, worker: String, wait: Int? = nil) async throws -> String? {
        var query = [("project_id", "\(number)"), ("worker_id", worker), ("cpu_site", "DEFAULT")]
        if let wait { query.append(("wait", "\(wait)")) }
        return try await send("GET", "next_file", query).json()["handle"]?["name"]?.stringValue
    }

    /// Reserves and releases so many files; answers the seconds that each took.
    func cycles(_ count: Int, of number: Int, worker: String) async throws -> [(next: Double, release: Double)] {
        // One request after the other, as a client of one thread does it.
        try await server.onTransportThread {
            var times: [(next: Double, release: Double)] = []
            for _ in 0..<count {
                var name: String?
                let next = try await seconds { name = try await self.next(number, worker: worker) }
                guard let name else { throw CommandFailure(message: "the project has no file left") }
                let release = try await seconds {
                    _ = try await send(
                        "GET", "release", [("handle_id", "\(number):bench:\(name)"), ("failed", "no")])
                }
                times.append((next, release))
            }
            return times
        }
    }
}
