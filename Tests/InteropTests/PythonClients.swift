import Foundation
import TestSupport

/// Public Python clients from the package registry, in an environment that `Scripts/python-clients` makes once.
enum PythonClients {
    private static let path = Task { () -> String? in
        let result = try await Program.run(
            Places.package + "/Scripts/python-clients", [], environment: ProcessInfo.processInfo.environment,
            folder: NSTemporaryDirectory(), timeLimit: .seconds(600))
        if result.status == 75 {
            print("skipped: the Python clients can not be installed, pip does not reach the package registry")
            return nil
        }
        guard result.status == 0, let path = result.lines.last else {
            throw Program.Failure(description: "Scripts/python-clients failed: \(result.errors)")
        }
        return path
    }

    /// False only when the registry can not be reached; a failure of any other kind fails the test that comes next.
    static func isAvailable() async -> Bool {
        do { return try await path.value != nil } catch { return true }
    }

    /// The Python that has them.
    static func python() async throws -> String {
        guard let path = try await path.value else {
            throw Program.Failure(description: "the Python clients are not installed")
        }
        return path
    }

    /// The Python that has Data Dispatcher's client.
    static func dispatcher() async throws -> String {
        URL(fileURLWithPath: try await python()).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("ddisp/bin/python").path
    }

    /// A client's own tests, as they were published.
    static func suite(_ name: String) async throws -> String {
        URL(fileURLWithPath: try await python()).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("suites/\(name)").path
    }

    /// Runs one of the programs in `Tests/InteropTests/Python` to its end.
    static func run(
        _ script: String, _ arguments: [String], environment more: [String: String] = [:], timeLimit: Duration
    ) async throws -> Program.Result {
        var environment = more
        for name in ["PATH", "LD_LIBRARY_PATH", "LANG", "TZ", "TMPDIR"] {
            environment[name] = ProcessInfo.processInfo.environment[name]
        }
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("clients-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        environment["HOME"] = folder.path
        return try await Program.run(
            try await python(), ["\(Places.package)/Tests/InteropTests/Python/\(script)"] + arguments,
            environment: environment, folder: folder.path, timeLimit: timeLimit)
    }
}
