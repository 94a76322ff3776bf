import ArgumentParser
import CouchDocument
import DispatcherClient
import Foundation

struct ProjectCreateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a project of files.",
        usage: "create [<options>] (<inline MQL query> | -q <file> | -l <file> | -j <file>)",
        discussion: """
            The files come from a MetaCat query (inline, or from a file with -q), from a list of lines \
            "namespace:name [attr=value ...]" (-l), or from a JSON list of "namespace:name" and of objects with namespace, \
            name and attributes (-j). A file that is named - is stdin. METACAT_SERVER_URL says where MetaCat is.
            """)

    @Option(
        name: .customShort("q"), parsing: .unconditional,
        help: ArgumentHelp("A file with an MQL query.", valueName: "file"), completion: .file())
    var query: String?
    @Option(
        name: .customShort("c"), parsing: .unconditional,
        help: ArgumentHelp(
            "Fields of MetaCat to copy into the files' attributes, <name>[,<name>...].", valueName: "fields"))
    var copied: String?
    @Option(
        name: .customShort("l"), parsing: .unconditional,
        help: ArgumentHelp("A file with a line a file.", valueName: "file"), completion: .file())
    var list: String?
    @Option(
        name: .customShort("j"), parsing: .unconditional,
        help: ArgumentHelp("A JSON file with a list.", valueName: "file"), completion: .file())
    var json: String?
    @OptionGroup var attributes: AttributeOptions
    @Option(
        name: .customShort("w"), parsing: .unconditional,
        help:
            "Worker timeout, <number>[s|m|h|d] or none: a file that was not released so long goes back (default: 12h).")
    var workerTimeout: String?
    @Option(
        name: .customShort("t"), parsing: .unconditional,
        help: ArgumentHelp(
            "Idle timeout, <number>[s|m|h|d] or none: a project without activity is abandoned (default: 72h).",
            valueName: "timeout"))
    var idleTimeout: String?
    @Option(
        name: .customShort("u"), parsing: .unconditional,
        help: ArgumentHelp("Users who may work on it too, <user>[,...].", valueName: "users"))
    var users: String?
    @Option(
        name: .customShort("r"), parsing: .unconditional,
        help: ArgumentHelp("Roles whose members may, <role>[,...].", valueName: "roles"))
    var roles: String?
    @Option(name: .customShort("p"), help: ArgumentHelp("How to print the project.", valueName: "format"))
    var format = ProjectFormat.id
    @OptionGroup var options: DispatcherOptions
    @Argument(parsing: .captureForPassthrough, help: "An MQL query.")
    var words: [String] = []

    func validate() throws {
        if let word = words.first, word.hasPrefix("-"), word != "-", word != "--" {
            throw ValidationError("Unknown option '\(word)'")
        }
        let sources = [query, list, json].compactMap { $0 }.count + (words.isEmpty ? 0 : 1)
        guard sources == 1 else {
            throw ValidationError(
                "Use exactly one of: an inline MQL query, -q <file with MQL query>, -l <file list>, -j <JSON file list>"
            )
        }
    }

    func run() async throws {
        let access = try DispatcherAccess(options)
        var request = ProjectRequest(files: [])
        request.attributes = try attributes.project()
        request.commonAttributes = try attributes.files()
        request.workerTimeout = try AttributeText.timeout(workerTimeout, option: "-w", missing: 43200, endless: .null)
        request.idleTimeout = try AttributeText.timeout(idleTimeout, option: "-t", missing: 259_200, endless: .null)
        request.users = Self.names(users)
        request.roles = Self.names(roles)
        if let list {
            request.files = try ProjectFileList.lines(of: list)
        } else if let json {
            request.files = try ProjectFileList.json(of: json)
        } else {
            let query = try query.map(InputFile.text) ?? words.joined(separator: " ")
            request.query = query
            request.files = try await ProjectFileList.found(by: query, copying: copied.map(Self.names) ?? [])
        }
        guard !request.files.isEmpty else { throw CommandFailure(message: "Empty file list") }
        ProjectText.print(try await access.client().create(request), format)
    }

    private static func names(_ text: String?) -> [String] {
        (text ?? "").split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }
}

/// Attributes that a project and its files are given.
struct AttributeOptions: ParsableArguments {
    @Option(
        name: .customShort("A"), parsing: .unconditional,
        help: ArgumentHelp("Attributes of the project: \"name=value ...\" or @<file.json>.", valueName: "attributes"))
    var projectAttributes: String?
    @Option(
        name: .customShort("a"), parsing: .unconditional,
        help: ArgumentHelp("Attributes of every file: \"name=value ...\" or @<file.json>.", valueName: "attributes"))
    var fileAttributes: String?

    func project() throws -> JSONObject { try AttributeText.read(projectAttributes, option: "-A") }
    func files() throws -> JSONObject { try AttributeText.read(fileAttributes, option: "-a") }
}

struct ProjectCopyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "copy", abstract: "Make a project of the same files as another.",
        discussion: "What is not given is taken over, but for the listed users and roles. The copy is yours.")

    @OptionGroup var attributes: AttributeOptions
    @Option(
        name: .customShort("w"), parsing: .unconditional,
        help: ArgumentHelp("Another worker timeout, <number>[s|m|h|d] or none.", valueName: "timeout"))
    var workerTimeout: String?
    @Option(
        name: .customShort("t"), parsing: .unconditional,
        help: ArgumentHelp("Another idle timeout, the same.", valueName: "timeout"))
    var idleTimeout: String?
    @Option(name: .customShort("p"), help: ArgumentHelp("How to print the new project.", valueName: "format"))
    var format = ProjectFormat.id
    @Argument(help: "The project to copy.")
    var projectID: Int
    @OptionGroup var options: DispatcherOptions

    func run() async throws {
        let access = try DispatcherAccess(options)
        let copy = try await access.client().copy(
            projectID, attributes: try attributes.project(), fileAttributes: try attributes.files(),
            workerTimeout: try AttributeText.timeout(
                workerTimeout, option: "-w", missing: "default", endless: "no timeout"),
            idleTimeout: try AttributeText.timeout(
                idleTimeout, option: "-t", missing: "default", endless: "no timeout"))
        ProjectText.print(copy, format)
    }
}
