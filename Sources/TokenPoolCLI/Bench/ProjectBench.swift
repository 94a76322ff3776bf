import ArgumentParser
import CouchDB
import CouchDocument
import Foundation
import Logging

struct ProjectBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "project", abstract: "Reserve and release files of a project through the dispatcher.",
        discussion: """
            Makes a project of files that need no replicas in the pool that the dispatcher serves, over its HTTP interface, \
            and deletes it at the end. The database must be there: `tokenpool init`.
            """)

    @OptionGroup var bench: BenchOptions

    @Option(help: "Files of the project.")
    var files = 10_000

    @Option(help: "Workers at once, each with a connection of its own.")
    var workers = 1

    @Option(help: "Files that are reserved and released in each run, by all workers together.")
    var cycles = 2_000

    func validate() throws {
        guard files > 0, workers > 0, cycles > 0 else {
            throw ValidationError("--files, --workers and --cycles are above 0")
        }
        guard cycles * bench.runs <= files else {
            throw ValidationError("--files \(files) are too few for \(bench.runs) runs of \(cycles) cycles")
        }
    }

    func run() async throws {
        let settings = [("files", "\(files)"), ("workers", "\(workers)"), ("cycles", "\(cycles)")]
        try await bench.report("project", settings) { server, report in
            let client = try await DispatcherClient.signedIn(try bench.options.settings(), logger: bench.options.logger)
            var number = 0
            let creation = try await seconds { number = try await client.create(files) }
            report.add("creation", creation, unit: "s")
            do {
                try await bench.eachRun { _ in try await measure(client, number, &report) }
            } catch {
                try await client.delete(number)
                throw error
            }
            try await client.delete(number)
        }
    }

    private func measure(_ client: DispatcherClient, _ number: Int, _ report: inout BenchReport) async throws {
        var times: [(next: Double, release: Double)] = []
        let elapsed = try await seconds {
            times = try await withThrowingTaskGroup(of: [(next: Double, release: Double)].self) { group in
                for worker in 0..<workers {
                    let share = cycles / workers + (worker < cycles % workers ? 1 : 0)
                    group.addTask { try await client.cycles(share, of: number, worker: "bench_\(worker)") }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
        }
        report.add("reserve + release", Double(cycles) / elapsed, unit: "files/s")
        for (name, values) in [("reserve", times.map(\.next)), ("release", times.map(\.release))] {
            let sorted = values.sorted()
            for (share, word) in [(0.5, "p50"), (0.95, "p95")] {
                let place = min(sorted.count - 1, Int(Double(sorted.count) * share))
                report.add("\(name) \(word)", sorted[place] * 1000, unit: "ms")
            }
        }
    }
}

/// A worker of the dispatcher, as Data Dispatcher's clients talk to it.
private struct DispatcherClient: Sendable {
    let server: Server
    let token: String

    static func signedIn(_ settings: Settings, logger: Logger) async throws -> DispatcherClient {
        let address = URLComponents(string: settings.url)
        guard let user = address?.user ?? settings.user?.value, let password = settings.password ?? address?.password
        else {
            throw CommandFailure(message: "sign in: --url http://USER@HOST and --password-file", status: .usage)
        }
        var configuration = try settings.serverConfiguration(logger: logger)
        var base = try ServerConfiguration(url: configuration.url + "/_pool/dd")
        base.tls = configuration.tls
        base.maxConnections = 256
        configuration = base
        let server = try Server(configuration)
        let answer = try await server.request(
            "POST", "/auth/auth", query: [("method", "ldap")], body: .bytes(Array("\(user):\(password)".utf8)))
        guard let token = answer.headers["x-authentication-token"] else {
            throw CommandFailure(message: "the dispatcher gave no token")
        }
        return DispatcherClient(server: server, token: token)
    }

    private func send(
        _ method: String, _ page: String, _ query: [(String, String)] = [], body: RequestBody? = nil
    ) async throws -> JSON {
        try await server.request(
            method, "/data/" + page, query: query, headers: [("X-Authentication-Token", token)], body: body
        ).json()
    }

    func create(_ files: Int) async throws -> Int {
        let list = (0..<files).map { number -> JSON in
            ["namespace": "bench", "name": .string("file_" + String(format: "%08d", number)), "attributes": [:]]
        }
        let project = try await send(
            "POST", "create_project",
            body: .json([
                "files": .array(list), "project_attributes": ["virtual": true], "query": nil, "worker_timeout": 43200,
                "idle_timeout": 259200, "users": [], "roles": [],
            ]))
        guard let number = project["project_id"]?.intValue else {
            throw CommandFailure(message: "the dispatcher made no project: \(project)")
        }
        return number
    }

    func delete(_ number: Int) async throws {
        _ = try await send("GET", "delete_project", [("project_id", "\(number)")])
    }

    /// Reserves and releases so many files; answers the seconds that each took.
    func cycles(_ count: Int, of number: Int, worker: String) async throws -> [(next: Double, release: Double)] {
        var times: [(next: Double, release: Double)] = []
        for _ in 0..<count {
            var name: String?
            let next = try await seconds {
                name = try await send(
                    "GET", "next_file",
                    [("project_id", "\(number)"), ("worker_id", worker), ("cpu_site", "DEFAULT")])["handle"]?["name"]?
                    .stringValue
            }
            guard let name else { throw CommandFailure(message: "the project has no file left") }
            let release = try await seconds {
                _ = try await send("GET", "release", [("handle_id", "\(number):bench:\(name)"), ("failed", "no")])
            }
            times.append((next, release))
        }
        return times
    }
}
