import ArgumentParser
import CouchDocument
import DispatcherClient

/// The states of a project, and `all`.
enum ProjectStateWord: String, ExpressibleByArgument, CaseIterable {
    case active, done, failed, cancelled, abandoned, all
}

struct ProjectListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List projects.")

    @Flag(name: [.customShort("j"), .customLong("json")], help: "As JSON.")
    var json = false
    @Option(
        name: .customShort("u"), help: ArgumentHelp("Of this user, or of all (default: yours).", valueName: "owner"))
    var owner: String?
    @Option(name: .customShort("s"), help: ArgumentHelp("In this state.", valueName: "state"))
    var state = ProjectStateWord.active
    @Option(
        name: .customShort("n"),
        help: ArgumentHelp("Not in this state (default: abandoned, unless -s says otherwise).", valueName: "state"))
    var notState: ProjectStateWord?
    @Option(
        name: .customShort("a"), parsing: .unconditional,
        help: ArgumentHelp("Whose attributes have these values, \"name=value ...\".", valueName: "attributes"))
    var attributes: String?
    @OptionGroup var options: DispatcherOptions

    func run() async throws {
        let client = try DispatcherAccess(options).client()
        let attributes = try attributes.map { try AttributeText.read($0, option: "-a") }
        // The original can not answer for all states at once: each is asked for.
        let states = state == .all ? [.active, .failed, .done, .cancelled, .abandoned] : [state]
        let notState = notState ?? (state == .all || state == .abandoned ? nil : .abandoned)
        var projects: [JSONObject] = []
        for state in states where state != notState {
            projects += try await client.projects(
                owner: owner, state: state.rawValue, notState: notState?.rawValue, attributes: attributes,
                with: json ? .files : .counts)
        }
        let output = Output(style: .people)
        if json { return output.line(PythonText.json(.array(projects.map(JSON.object)))) }
        var table = RuledTable([
            .init("Project id"), .init("Owner"), .init("Created"), .init("State"), .init("Done/Failed/Total"),
        ])
        for project in projects { table.add(project.overview) }
        table.lines.forEach(output.line)
    }
}

struct ProjectSearchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "search", abstract: "Find projects by a query.",
        usage: "search [<options>] (-q (<query file>|-) | <search query>)")

    @Flag(name: [.customShort("j"), .customLong("json")], help: "As JSON.")
    var json = false
    @Option(name: .customShort("u"), help: ArgumentHelp("Of this user (default: of all).", valueName: "owner"))
    var owner: String?
    @Option(name: .customShort("s"), help: ArgumentHelp("In this state.", valueName: "state"))
    var state = ProjectStateWord.active
    @Option(
        name: .customShort("q"), parsing: .unconditional,
        help: ArgumentHelp("A file with the query; - is stdin.", valueName: "file"),
        completion: .file())
    var file: String?
    @OptionGroup var options: DispatcherOptions
    @Argument(parsing: .captureForPassthrough, help: "The query.")
    var words: [String] = []

    func validate() throws {
        if let word = words.first, word.hasPrefix("-") { throw ValidationError("Unknown option '\(word)'") }
        guard (file == nil) != words.isEmpty else {
            throw ValidationError(
                words.isEmpty ? "Search query is not specified" : "-q <query file> goes without a query")
        }
    }

    func run() async throws {
        let query = try file.map(InputFile.text) ?? words.joined(separator: " ")
        let client = try DispatcherAccess(options).client()
        let projects = try await client.search(
            query, owner: owner == "all" ? nil : owner, state: state == .all ? nil : state.rawValue,
            with: json ? .files : .counts)
        let output = Output(style: .people)
        if json { return output.line(PythonText.json(.array(projects.map(JSON.object)))) }
        let rule = [15, 15, 19, 15, 17].map { String(repeating: "-", count: $0) }.joined(separator: " ")
        func line(_ cells: [String]) -> String {
            zip(cells, [-15, -15, 19, 15, 17]).map { RuledTable.padded(Output.printable($0), to: $1) }
                .joined(separator: " ")
        }
        // The titles lean to the left, but for the last.
        output.line(
            zip(["project id", "owner", "created", "state", "done/failed/files"], [-15, -15, -19, -15, 17])
                .map { RuledTable.padded($0, to: $1) }.joined(separator: " "))
        output.line(rule)
        for project in projects { output.line(line(project.overview)) }
        output.line(rule)
    }
}

extension JSONObject {
    /// A project in a table.
    fileprivate var overview: [String] {
        [
            PythonText.plain(self["project_id"] ?? .null), text("owner"),
            CalendarText.local(self["created_timestamp"]?.numberValue ?? 0, "%Y-%m-%d %H:%M:%S"), text("state"),
            ProjectText.counts(self),
        ]
    }
}
