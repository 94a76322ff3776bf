import ArgumentParser
import CouchDocument
import DispatcherClient

struct FileCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "file", abstract: "Files of a project.",
        subcommands: [FileListCommand.self, FileShowCommand.self])
}

struct FileListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the files of a project.")

    @Flag(name: [.customShort("j"), .customLong("json")], help: "As JSON.")
    var json = false
    @Option(name: .customShort("s"), help: ArgumentHelp("In this state.", valueName: "state"))
    var state: FileStateWord?
    @Option(
        name: .customShort("r"), parsing: .unconditional,
        help: ArgumentHelp("With a replica in this storage element.", valueName: "rse"))
    var rse: String?
    @Argument(help: "The project.")
    var projectID: Int
    @OptionGroup var options: DispatcherOptions

    enum FileStateWord: String, ExpressibleByArgument, CaseIterable {
        case initial, reserved, done, failed
    }

    func run() async throws {
        let output = Output(style: .people)
        let client = try DispatcherAccess(options).client()
        guard let project = try await client.project(projectID, files: true, replicas: true) else {
            output.line("Project \(projectID) not found")
            throw ExitStatus.no
        }
        let handles = (project["file_handles"]?.arrayValue ?? []).compactMap(\.objectValue).filter { handle in
            (state.map { $0.rawValue == handle.text("state") } ?? true)
                && (rse.map { handle["replicas"]?[$0] != nil } ?? true)
        }
        if json {
            output.line(PythonText.json(.array(handles.map(JSON.object))))
        } else {
            HandleTable.lines(handles, showsReplicas: false).forEach(output.line)
        }
    }
}

struct FileShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a file of a project and its replicas.")

    @Flag(name: [.customShort("j"), .customLong("json")], help: "As JSON.")
    var json = false
    @Argument(help: "The project.")
    var projectID: Int
    @Argument(help: "The file, namespace:name.")
    var did: String
    @OptionGroup var options: DispatcherOptions

    func run() async throws {
        let output = Output(style: .people)
        guard let handle = try await DispatcherAccess(options).client().handle(project: projectID, did: did) else {
            output.line("Handle \(projectID):\(did) not found")
            throw ExitStatus.no
        }
        if json { return output.line(PythonText.json(.object(handle))) }
        handle.fieldLines(without: "replicas").forEach(output.line)
        guard handle["replicas"] != nil else { return }
        output.line("replicas:")
        let replicas = handle.replicas.sorted {
            let (left, right) = ($0.number("preference"), $1.number("preference"))
            return left == right ? $0.text("rse") < $1.text("rse") : left > right
        }
        for replica in replicas {
            let urls = replica["urls"]?.arrayValue ?? []
            for (name, value) in [
                ("Preference:", PythonText.plain(replica["preference"] ?? .null)), ("RSE:", replica.text("rse")),
                ("Path:", replica.text("path")), ("URL:", replica.text("url")),
                ("URLs:", urls.isEmpty ? "" : PythonText.literal(.array(urls))),
                ("Available:", replica.flag("available") ? "yes" : "no"),
            ] { output.line("  " + RuledTable.padded(name, to: -12) + " " + value) }
        }
    }
}

extension JSONObject {
    /// A line a member, `name : value`.
    func fieldLines(without left: String? = nil) -> [String] {
        filter { $0.name != left }.map { "\(RuledTable.padded($0.name, to: -10)): \(PythonText.plain($0.value))" }
    }
}
