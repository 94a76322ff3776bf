import CouchDB
import CouchDocument
import DesignDocuments
import Foundation
import TestSupport
import TokenPool

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// A server with a dispatcher of a test's own, with the users alice, bob, carol (production), dave and root1 (admin), whose
/// passwords are `pw-NAME`, and storage elements A and B.
struct Dispatching: Sendable {
    let server: TestServer
    let projects: Projects
    private let base: String

    static let catalogue: JSON = [
        "users": [
            ["username": "alice", "password": "pw-alice"], ["username": "bob", "password": "pw-bob"],
            ["username": "carol", "password": "pw-carol", "roles": ["production"]],
            ["username": "dave", "password": "pw-dave"],
            ["username": "root1", "password": "pw-root1", "admin": true],
        ],
        "rses": [["name": "A"], ["name": "B", "preference": 5]],
        "replicas": [
            ["namespace": "test", "name": "a", "rse": "A", "url": "root://a//a"],
            ["namespace": "test", "name": "a", "rse": "B", "url": "root://b//a"],
            ["namespace": "test", "name": "b", "rse": "A", "url": "root://a//b"],
        ],
        "proximity_map_cpu_rse_value": [["DEFAULT", "DEFAULT", 100], ["SITE", "A", 90], ["SITE", "B", 3]],
    ]

    /// Runs a test against a server that is killed afterwards.
    ///
    /// - Parameters:
    ///   - configuration: The dispatcher's configuration file.
    ///   - isFront: Whether the dispatcher is served by another process, in front of the store.
    static func run(
        _ arguments: [String] = [], configuration: String? = nil, isFront: Bool = false,
        _ body: (Dispatching) async throws -> Void
    ) async throws {
        var arguments = arguments
        let file = FileManager.default.temporaryDirectory.appending(path: "dispatcher-\(UUID().uuidString).yaml")
        defer { try? FileManager.default.removeItem(at: file) }
        if let configuration {
            try Data(configuration.utf8).write(to: file)
            arguments += ["--dispatcher-config", file.path]
        }
        let server = try await TestServer.start(arguments: isFront ? ["--no-gateway"] : arguments)
        let front = isFront ? try await TestServer.start(arguments: ["--store", server.url] + arguments) : nil
        do {
            let client = try server.client()
            let database = try await client.createDatabase("tokenpool")
            for design in DesignDocuments.all { try await database.push(design) }
            let projects = Projects(Pool(database: database))
            _ = try await projects.load(try Catalog(catalogue), withDigest: true)
            try await body(Dispatching(server: server, at: (front ?? server).url, projects: projects))
        } catch {
            try await front?.kill()
            try await server.kill()
            throw error
        }
        try await front?.kill()
        try await server.kill()
    }

    private init(server: TestServer, at address: String, projects: Projects) throws {
        self.server = server
        self.projects = projects
        let url = URLComponents(string: address)
        base = "http://127.0.0.1:\(url?.port ?? 0)/_pool/dd"
    }

    struct Answer: Sendable {
        let status: Int
        let text: String
        let headers: [String: String]
        var json: JSON { (try? JSON(parsing: text)) ?? .null }
    }

    /// Sends a request; the path is sent as it stands.
    func send(
        _ method: String = "GET", _ path: String, token: String? = nil, headers: [String: String] = [:],
        body: JSON? = nil, raw: String? = nil
    ) async throws -> Answer {
        guard let url = URL(string: base + path) else { fatalError("\(path) is no URL") }
        var request = URLRequest(url: url)
        request.httpMethod = method
        if let token { request.setValue(token, forHTTPHeaderField: "X-Authentication-Token") }
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        if let body { request.httpBody = Data(body.encoded()) }
        if let raw { request.httpBody = Data(raw.utf8) }
        let (data, response) = try await URLSession.shared.data(for: request)
        guard let response = response as? HTTPURLResponse else { fatalError("no HTTP") }
        var fields: [String: String] = [:]
        for (name, value) in response.allHeaderFields {
            if let name = name as? String, let value = value as? String { fields[name.lowercased()] = value }
        }
        return Answer(status: response.statusCode, text: String(decoding: data, as: UTF8.self), headers: fields)
    }

    /// Signs somebody in.
    func token(_ user: String) async throws -> String {
        let answer = try await send("POST", "/auth/auth?method=ldap", raw: "\(user):pw-\(user)")
        guard let token = answer.headers["x-authentication-token"] else {
            throw Failure(description: "\(user) can not sign in: \(answer.status) \(answer.text)")
        }
        return token
    }

    /// What a token says.
    static func claims(_ token: String) throws -> JSON {
        let parts = token.split(separator: ".")
        var text = parts.count == 3 ? String(parts[1]).replacing("-", with: "+").replacing("_", with: "/") : ""
        text += String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
        guard let data = Data(base64Encoded: text) else { throw Failure(description: "\(token) is no token") }
        return try JSON(parsing: String(decoding: data, as: UTF8.self))
    }

    struct Failure: Error, CustomStringConvertible { let description: String }

    /// Makes a project of these files of the namespace `test` and answers its number.
    func create(_ names: [String], token: String, _ more: JSONObject = [:]) async throws -> Int {
        var body: JSONObject = [
            "files": .array(names.map { ["namespace": "test", "name": .string($0), "attributes": [:]] }),
            "project_attributes": [:], "query": nil, "worker_timeout": 60, "idle_timeout": 3600, "users": [],
            "roles": [],
        ]
        body.merge(more)
        let answer = try await send("POST", "/data/create_project", token: token, body: .object(body))
        guard answer.status == 200, let number = answer.json["project_id"]?.intValue else {
            throw Failure(description: "\(answer.status) \(answer.text)")
        }
        return number
    }
}
