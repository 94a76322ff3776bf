import ArgumentParser
import CouchDB
import CouchDocument
import Foundation
import Sandboxes
import TokenPool

struct SetCreateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make the set of a configuration file.",
        discussion: """
            Takes our own YAML files (see docs/token-sets.md) and GRID_LRT's YAML and JSON files as they are. Everything \
            is checked before anything is written, and workers see all of the set or nothing. A creation that was \
            interrupted is finished by the same command.
            """)

    @Argument(help: "The configuration file.", completion: .file())
    var file: String

    @Option(
        help: "What to do when the set exists: fail, skip (add what is missing), update (and rewrite what is todo).")
    var ifExists = IfExists.fail

    @Option(
        name: .customLong("set"), parsing: .singleValue,
        help: ArgumentHelp("Another value for a variable of the file.", valueName: "name=value"))
    var variables: [String] = []

    @Option(help: "Another name for the set.")
    var name: String?

    @Flag(help: "Check everything and print the tokens, a line of JSON each; write nothing.")
    var dryRun = false

    @OptionGroup(title: "For files of GRID_LRT") var gridLRT: GridLRTArguments
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        var configuration = try SetConfiguration(file: file, options: configurationOptions())
        if dryRun { return try printTokens(configuration) }
        let database = try options.poolDatabase()
        let sets = TokenSets(Pool(database: database, logger: options.logger))
        configuration.sandbox = try await prepared(configuration, in: database)
        let display = SetProgressDisplay(options.output)
        defer { display.end() }
        let report = try await sets.create(configuration, ifExists: ifExists, progress: display.report)
        display.end()
        options.output.answer(report.json, [Self.summary(report)])
    }

    static func summary(_ report: CreationReport) -> String {
        var parts = ["\(report.created) created"]
        if report.updated > 0 { parts.append("\(report.updated) rewritten") }
        if report.kept > 0 { parts.append("\(report.kept) kept") }
        if report.tooLate > 0 { parts.append("\(report.tooLate) of them differ but were started already") }
        if report.removed > 0 { parts.append("\(report.removed) left over from an interrupted creation removed") }
        let count = report.tokens == 1 ? "1 token" : "\(report.tokens) tokens"
        return "set \"\(Output.printable(report.name))\": \(count), " + parts.joined(separator: ", ")
    }

    private func configurationOptions() throws -> SetConfiguration.Options {
        var result = SetConfiguration.Options()
        result.name = name
        result.variables = try variables.map { text in
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
                throw ValidationError("--set wants NAME=VALUE, not \"\(text)\"")
            }
            return (String(text[..<equals]), String(text[text.index(after: equals)...]))
        }
        result.gridLRT = gridLRT.options
        return result
    }

    private func printTokens(_ configuration: SetConfiguration) throws {
        var count = 0
        for token in configuration.tokens() {
            options.output.line(JSON.object(try token.get().document.fields).description)
            count += 1
        }
        let count_ = count == 1 ? "1 token" : "\(count) tokens"
        options.output.say("set \"\(Output.printable(configuration.name))\": \(count_), all well; nothing was written")
    }

    /// The sandbox as tokens name it: a local folder or archive is packed and put into the database first.
    private func prepared(_ configuration: SetConfiguration, in database: Database) async throws -> SandboxDeclaration?
    {
        guard var sandbox = configuration.sandbox else { return nil }
        guard let path = sandbox.localPath else {
            do { _ = try SandboxSpec(json: .object(sandbox.members)) } catch {
                throw ConfigurationError(sandbox.place, "\(error)")
            }
            return sandbox
        }
        let url = URL(filePath: path).standardizedFileURL
        let name = sandbox.members["name"]?.stringValue ?? url.lastPathComponent
        let built: BuiltSandbox
        let temporary = FileManager.default.temporaryDirectory.appending(path: "tokenpool-\(UUID().uuidString).tar.gz")
        defer { try? FileManager.default.removeItem(at: temporary) }
        do {
            let spec = SandboxSpec(source: FileStatus.isFolder(path) ? .folder(path: path) : .archive(path: path))
            built = try await SandboxBuilder.build(spec, to: temporary.path(percentEncoded: false))
        } catch { throw ConfigurationError(sandbox.place, "\(error)") }
        let library = SandboxLibrary(database)
        let stored = try await library.upload(built, name: name, created: SystemClock().now().seconds)
        if stored.isNew { options.output.say("sandbox \"\(name)\": \(built.size) bytes uploaded") }
        sandbox.localPath = nil
        sandbox.members = stored.sandbox.spec.json.objectValue ?? [:]
        return sandbox
    }
}

extension IfExists: ExpressibleByArgument {}

/// What GRID_LRT's users said in a program of their own.
struct GridLRTArguments: ParsableArguments {
    @Option(help: "A list of links: one token a slice of it, with its links attached.", completion: .file())
    var srmList: String?

    @Option(help: "Subbands a slice.")
    var slice = 10

    @Option(help: "The observation, such as L229507 (default: the list's).")
    var obsid: String?

    @Flag(help: "Allow links of several observations in one list.")
    var anyObsid = false

    @Option(help: "The token type (default: the file's).")
    var type: String?

    @Option(help: "The middle of the ids (default: the observation, else L000000).")
    var append: String?

    @Option(help: "What stands before the subband in ids.")
    var idPrefix = "SB"

    @Option(help: "The field that holds the subband.")
    var keyName = "STARTSB"

    @Option(help: "The name under which the links are attached.")
    var uploadName = "srm.txt"

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("Attach a file to every token, under its own or another name.", valueName: "[name=]file"))
    var attach: [String] = []

    func validate() throws {
        guard slice > 0 else { throw ValidationError("--slice must be at least 1") }
    }

    var options: GridLRTOptions {
        var result = GridLRTOptions()
        result.srmList = srmList
        result.slice = slice
        result.observation = obsid
        result.checksObservation = !anyObsid
        result.type = type
        result.append = append
        result.idPrefix = idPrefix
        result.keyName = keyName
        result.uploadName = uploadName
        result.attachments = attach.map { text in
            if let equals = text.firstIndex(of: "="), equals != text.startIndex {
                return (String(text[..<equals]), String(text[text.index(after: equals)...]))
            }
            return (URL(filePath: text).lastPathComponent, text)
        }
        return result
    }
}
