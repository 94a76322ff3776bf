import ArgumentParser
import CouchDocument
import DispatcherClient

struct ProjectShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Show a project and its files.")

    @Flag(name: .customShort("a"), help: "The project's attributes only.")
    var attributes = false
    @Flag(name: .customShort("r"), help: "Replicas too.")
    var replicas = false
    @Flag(name: [.customShort("j"), .customLong("json")], help: "As JSON.")
    var json = false
    @Option(name: .customShort("f"), help: ArgumentHelp("The names of files in this state only.", valueName: "state"))
    var files: FileSelection?
    @Argument(help: "The project.")
    var projectID: Int
    @OptionGroup var options: DispatcherOptions

    /// The words of the documentation, and those of version 1.27.
    enum FileSelection: String, ExpressibleByArgument, CaseIterable {
        case all, initial, reserved, failed, done, active, ready, available

        func contains(_ handle: JSONObject) -> Bool {
            let state = handle.text("state")
            return switch self {
            case .all: true
            case .active: state == "initial" || state == "reserved"
            case .ready: state == "initial"
            case .available:
                state == "initial" && handle.replicas.contains { $0.flag("available") && $0.flag("rse_available") }
            default: state == rawValue
            }
        }
    }

    func run() async throws {
        let output = Output(style: .people)
        let client = try DispatcherAccess(options).client()
        guard var project = try await client.project(projectID, files: !attributes, replicas: !attributes) else {
            output.line("Project \(projectID) not found")
            throw ExitStatus.no
        }
        if attributes {
            let values = project["attributes"]?.objectValue ?? [:]
            if json { return output.line(PythonText.json(.object(values))) }
            for (name, value) in PythonText.sorted(values) { output.line("\(name) \(PythonText.plain(value))") }
            return
        }
        if let files {
            let handles = (project["file_handles"]?.arrayValue ?? []).compactMap(\.objectValue).filter(files.contains)
            guard json else { return handles.forEach { output.line($0.did) } }
            project["file_handles"] = .array(handles.map(JSON.object))
        }
        if json {
            output.line(PythonText.json(.object(project)))
        } else {
            ProjectText.lines(project, showsReplicas: replicas).forEach(output.line)
        }
    }
}
