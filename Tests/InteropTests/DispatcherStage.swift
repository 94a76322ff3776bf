import CouchDocument
import Foundation
import TestSupport
import Testing

/// A server with the users, storage elements and files of the recorded scenarios, and our program under the name `ddisp`.
struct DispatcherStage: Sendable {
    let server: TestServer
    /// A folder for all of this: the link lies in its `bin`.
    let folder: String

    /// The one that most tests share: what they do there does not meet.
    static let shared = Task { try await start() }

    static func start(arguments: [String] = []) async throws -> DispatcherStage {
        let server = try await TestServer.start(arguments: arguments)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("stage-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            at: folder.appendingPathComponent("bin"), withIntermediateDirectories: true)
        let stage = DispatcherStage(server: server, folder: folder.resolvingSymlinksInPath().path)
        let program = try Program.built("tokenpool")
        try FileManager.default.createSymbolicLink(atPath: stage.link, withDestinationPath: program)
        let loaded = try await Program.run(
            program, ["catalog", "load", "\(Self.data)/fixture.json", "--url", server.url],
            environment: stage.environment, folder: stage.folder)
        guard loaded.status == 0 else { throw Program.Failure(description: loaded.errors) }
        return stage
    }

    /// Ends a stage that is not shared.
    func end() async throws {
        try await server.kill()
        try FileManager.default.removeItem(atPath: folder)
    }

    /// The recorded scenarios and their files.
    static var data: String { Places.package + "/Tests/InteropTests/DataDispatcher" }

    var link: String { folder + "/bin/ddisp" }

    /// Without name and password.
    var address: String { "http://127.0.0.1:\(URLComponents(string: server.url)?.port ?? 0)" }
    var dataURL: String { address + "/_pool/dd/data" }
    var authenticationURL: String { address + "/_pool/dd/auth" }

    /// Nothing of the person who runs the tests but the path to programs.
    private var environment: [String: String] {
        var values = ["HOME": folder, "TMPDIR": folder, "TZ": "UTC"]
        for name in ["PATH", "LD_LIBRARY_PATH", "LANG"] { values[name] = ProcessInfo.processInfo.environment[name] }
        values["PATH"] = folder + "/bin:" + (values["PATH"] ?? "")
        return values
    }

    /// Somebody with a home folder of their own, who is also in it, signed in unless the name is nobody's.
    func person(_ name: String) async throws -> Person {
        let home = folder + "/\(name)-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
        var values = environment
        values["HOME"] = home
        values["DATA_DISPATCHER_URL"] = dataURL
        values["DATA_DISPATCHER_AUTH_URL"] = authenticationURL
        let person = Person(name: name, home: home, stage: self, environment: values)
        if name != "nobody" { _ = try await person.ddisp("login", name, input: "pw-\(name)\n") }
        return person
    }

    struct Person: Sendable {
        let name: String
        let home: String
        let stage: DispatcherStage
        var environment: [String: String]

        /// Runs `ddisp`, which must end with that status.
        @discardableResult
        func ddisp(
            _ words: String..., input: String = "", status: Int32 = 0, sourceLocation: SourceLocation = #_sourceLocation
        ) async throws -> Program.Result {
            try await run(stage.link, words, input: input, status: status, sourceLocation)
        }

        /// Runs `tokenpool`, which must end with that status.
        @discardableResult
        func tokenpool(
            _ words: String..., input: String = "", status: Int32 = 0, sourceLocation: SourceLocation = #_sourceLocation
        ) async throws -> Program.Result {
            try await run(try Program.built("tokenpool"), words, input: input, status: status, sourceLocation)
        }

        private func run(
            _ path: String, _ words: [String], input: String, status: Int32, _ sourceLocation: SourceLocation
        ) async throws -> Program.Result {
            let result = try await Program.run(path, words, environment: environment, folder: home, input: input)
            #expect(
                result.status == status, "\(words.joined(separator: " ")): \(result.output)\(result.errors)",
                sourceLocation: sourceLocation)
            // Whatever happens: no traceback, no page of text.
            #expect(!result.errors.contains("Fatal error"), sourceLocation: sourceLocation)
            return result
        }

        /// Makes a project of these lines and answers its number.
        func project(_ lines: [String], _ options: String...) async throws -> String {
            let words = ["project", "create"] + options + ["-l", "-"]
            let result = try await run(
                stage.link, words, input: lines.joined(separator: "\n") + "\n", status: 0, #_sourceLocation)
            return try #require(result.lines.first)
        }

        /// A project as the server has it.
        func show(_ project: String) async throws -> JSON {
            try JSON(parsing: try await ddisp("project", "show", "-j", project).output)
        }

        func write(_ text: String, to name: String) throws {
            try Data(text.utf8).write(to: URL(fileURLWithPath: home + "/" + name))
        }

        func read(_ name: String) throws -> String { try String(contentsOfFile: home + "/" + name, encoding: .utf8) }
    }
}

extension JSON {
    /// A project's files by name, with what a path into each says.
    func files(_ member: String) -> [String: JSON] {
        Dictionary(
            (self["file_handles"]?.arrayValue ?? []).map {
                ($0["name"]?.stringValue ?? "", $0[member] ?? .null)
            }, uniquingKeysWith: { $1 })
    }
}
