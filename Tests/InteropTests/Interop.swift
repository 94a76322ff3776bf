import CouchDB
import CouchDocument
import Foundation
import TestSupport
import TokenPool
import Testing

/// Whole journeys: the real programs, a real server, real PiCaS. One after the other, for each starts many processes.
@Suite("Interop", .serialized)
enum Interop {}

/// A pool of a test's own, with its views, and the environment in which programs find it.
struct JourneyPool: Sendable {
    let server: TestServer
    let database: Database
    let folder: String

    var pool: Pool { Pool(database: database) }

    /// The environment of `tokenpool`: nothing of the person who runs the tests but the path to programs.
    var environment: [String: String] {
        let outer = ProcessInfo.processInfo.environment
        var values = [
            "HOME": folder, "TMPDIR": folder, "TOKENPOOL_CACHE": folder + "/cache", "TOKENPOOL_URL": server.url,
            "TOKENPOOL_DATABASE": database.name,
        ]
        for name in ["PATH", "LD_LIBRARY_PATH", "LANG", "TZ"] { values[name] = outer[name] }
        return values
    }

    /// Runs `tokenpool` to its end.
    @discardableResult
    func tokenpool(
        _ arguments: String..., timeLimit: Duration = .seconds(120), status: Int32? = 0,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Program.Result {
        let result = try await Program.run(
            try Program.built("tokenpool"), arguments, environment: environment, folder: folder, timeLimit: timeLimit)
        if let status {
            #expect(
                result.status == status, "tokenpool \(arguments.joined(separator: " ")): \(result.errors)",
                sourceLocation: sourceLocation)
        }
        return result
    }

    /// Starts `tokenpool`.
    func start(_ arguments: String...) throws -> RunningProgram {
        try Program.start(try Program.built("tokenpool"), arguments, environment: environment, folder: folder)
    }

    /// Where commands of the tests write a line each.
    var journalPath: String { folder + "/journal" }

    /// What they wrote.
    func journal() throws -> [String] {
        try String(contentsOfFile: journalPath, encoding: .utf8).split(separator: "\n").map(String.init)
    }

    /// Every token by its id.
    func tokens() async throws -> [String: Token] {
        var query = ViewQuery()
        query.includeDocuments = true
        let page = try await database.allDocuments(query)
        let documents = page.rows.compactMap(\.document).filter {
            !$0.id.hasPrefix("_design/") && $0["type"] == "token"
        }
        return Dictionary(uniqueKeysWithValues: documents.map { ($0.id, Token($0)) })
    }

    func save(_ tokens: [Token]) async throws {
        for outcome in try await database.bulkSave(tokens.map(\.document)) {
            if case .failed(_, let error) = outcome { throw error }
        }
    }

    /// The rows of a view as `key value` texts, all of them.
    func rows(_ design: String, _ view: String) async throws -> [String] {
        try await database.view(ViewName(design: design, view: view)).rows.map { "\($0.key) \($0.value)" }
    }
}

/// Runs a test with a pool of its own, on the shared server or on the given one.
func withPool(
    on server: TestServer? = nil, isolation: isolated (any Actor)? = #isolation,
    _ body: (JourneyPool) async throws -> Void
) async throws {
    let shared: TestServer
    if let server { shared = server } else { shared = try await TestServer.shared() }
    try await withDatabase(on: shared) { database in
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("interop-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let pool = JourneyPool(server: shared, database: database, folder: folder.resolvingSymlinksInPath().path)
        try await pool.tokenpool("init")
        try await body(pool)
    }
}

/// What lies in the repository and beside it.
enum Places {
    static let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    /// The folder of real input: `TOKENPOOL_DATA`, else `../shared/data` from the package. Not part of the repository.
    static let data = ProcessInfo.processInfo.environment["TOKENPOOL_DATA"] ?? package + "/../shared/data"

    static func hasData(_ name: String) -> Bool {
        let exists = FileManager.default.fileExists(atPath: "\(data)/\(name)")
        if !exists { print("skipped: there is no \(data)/\(name); set TOKENPOOL_DATA to the folder of real input") }
        return exists
    }
}
