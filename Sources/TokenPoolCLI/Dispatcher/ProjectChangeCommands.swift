import ArgumentParser
import CouchDocument
import DispatcherClient

struct ProjectRestartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restart", abstract: "Put files of a project back to the beginning.",
        usage: "restart <project_id> <DID> ...\n       restart [-f] [-d] [-r] [-a] <project_id>")

    @Flag(name: .customShort("f"), help: "Failed files.")
    var failed = false
    @Flag(name: .customShort("d"), help: "Done files.")
    var done = false
    @Flag(name: .customShort("r"), help: "Reserved files.")
    var reserved = false
    @Flag(name: .customShort("a"), help: "All of these.")
    var all = false
    @Argument(help: "The project.")
    var projectID: Int
    @Argument(help: "Files, whatever their state.")
    var dids: [String] = []
    @OptionGroup var options: DispatcherOptions

    func validate() throws {
        let hasStates = failed || done || reserved || all
        guard hasStates != !dids.isEmpty else {
            throw ValidationError(
                hasStates ? "-f, -d, -r and -a go without DIDs" : "One or more handle states need to be selected")
        }
        if let did = dids.first(where: { !$0.contains(":") }) { throw ValidationError("Invalid DID format: \(did)") }
    }

    func run() async throws {
        try await DispatcherAccess(options).client().restart(
            projectID,
            dids.isEmpty
                ? .states(done: done || all, failed: failed || all, reserved: reserved || all) : .dids(dids))
    }
}

struct ProjectActivateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "activate", abstract: "Make an abandoned or cancelled project active again.")

    @Flag(name: [.customShort("j"), .customLong("json")], help: "Print the project as JSON.")
    var json = false
    @Argument(help: "The project.")
    var projectID: Int
    @OptionGroup var options: DispatcherOptions

    func run() async throws {
        let project = try await DispatcherAccess(options).client().activate(projectID)
        if json { Output(style: .people).line(PythonText.json(.object(project))) }
    }
}

struct ProjectCancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "End a project: nobody gets its files any more.")

    @Flag(name: [.customShort("j"), .customLong("json")], help: "Print the project as JSON.")
    var json = false
    @Argument(help: "The project.")
    var projectID: Int
    @OptionGroup var options: DispatcherOptions

    func run() async throws {
        let project = try await DispatcherAccess(options).client().cancel(projectID)
        if json { Output(style: .people).line(PythonText.json(.object(project))) }
    }
}

struct ProjectDeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Remove a project and all that is known of its files. Nobody is asked.")

    @Argument(help: "The project.")
    var projectID: Int
    @OptionGroup var options: DispatcherOptions

    func run() async throws { try await DispatcherAccess(options).client().delete(projectID) }
}
