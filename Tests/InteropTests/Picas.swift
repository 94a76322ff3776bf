import CouchDB
import Foundation
import TestSupport
import Testing

/// Real PiCaS from the package registry.
enum Picas {
    /// False only when the registry can not be reached; a failure of any other kind fails the test that comes next.
    static func isAvailable() async -> Bool { await PythonClients.isAvailable() }

    /// Runs `picas-cli` to its end.
    static func cli(_ arguments: [String], environment: [String: String], folder: String) async throws -> Program.Result
    {
        let python = try await PythonClients.python()
        let program = (python as NSString).deletingLastPathComponent + "/picas-cli"
        return try await Program.run(program, arguments, environment: environment, folder: folder)
    }

    static func environment(_ pool: JourneyPool) throws -> [String: String] {
        guard let url = URLComponents(string: pool.server.url) else {
            throw Program.Failure(description: "no URL: \(pool.server.url)")
        }
        var plain = url
        plain.user = nil
        plain.password = nil
        var values = pool.environment.filter { !$0.key.hasPrefix("TOKENPOOL_") }
        values["PICAS_URL"] = plain.string
        values["PICAS_DB"] = pool.database.name
        values["PICAS_USER"] = url.user
        values["PICAS_PASSWORD"] = url.password
        values["PYTHONDONTWRITEBYTECODE"] = "1"
        return values
    }

    /// Starts one of the programs in `Tests/InteropTests/Python`.
    static func start(_ script: String, _ arguments: [String], in pool: JourneyPool, input: String = "") async throws
        -> RunningProgram
    {
        let python = try await PythonClients.python()
        return try Program.start(
            python, ["\(Places.package)/Tests/InteropTests/Python/\(script)"] + arguments,
            environment: try environment(pool), folder: pool.folder, input: input)
    }

    @discardableResult
    static func run(_ script: String, _ arguments: String..., in pool: JourneyPool, input: String = "") async throws
        -> Program.Result
    {
        let result = try await start(script, arguments, in: pool, input: input).end(within: .seconds(180))
        #expect(result.status == 0, "\(script): \(result.errors.suffix(3000))")
        return result
    }
}
