import ArgumentParser
import CouchDocument
import DispatcherClient
import Foundation

struct RSECommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rse", abstract: "Storage elements, where files lie.",
        subcommands: [
            RSEListCommand.self, RSEShowCommand.self, RSECreateCommand.self, RSEUpdateCommand.self,
            RSEDeleteCommand.self, RSESetCommand.self,
        ])

    static func lines(_ rse: JSONObject) -> [String] {
        [
            ("RSE:", rse.text("name")), ("Preference:", PythonText.plain(rse["preference"] ?? .null)),
            ("Tape:", rse.flag("is_tape") ? "yes" : "no"), ("Available:", rse.flag("is_available") ? "yes" : "no"),
            ("Pin URL:", rse.text("pin_url")), ("Poll URL:", rse.text("poll_url")),
            ("Remove prefix:", rse.text("remove_prefix")), ("Add prefix:", rse.text("add_prefix")),
        ].map { RuledTable.padded($0.0, to: -15) + " " + $0.1 }
    }

    static func print(_ rse: JSONObject, json: Bool) {
        let output = Output(style: .people)
        if json { output.line(PythonText.json(.object(rse))) } else { lines(rse).forEach(output.line) }
    }
}

struct RSEListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the storage elements.")

    @Flag(name: [.customShort("j"), .customLong("json")], help: "As JSON.")
    var json = false
    @OptionGroup var options: DispatcherOptions

    func run() async throws {
        let output = Output(style: .people)
        let rses = try await DispatcherAccess(options).client().rses().sorted {
            $0.text("name").unicodeScalars.lexicographicallyPrecedes($1.text("name").unicodeScalars)
        }
        if json { return output.line(PythonText.json(.array(rses.map(JSON.object)))) }
        guard !rses.isEmpty else { return }
        var table = RuledTable([
            .init("Name", isLeft: true, minimum: 30), .init("Tape"), .init("Status"), .init("Enabled"),
            .init("Description", isLeft: true, minimum: 60),
        ])
        for rse in rses {
            table.add([
                rse.text("name"), rse.flag("is_tape") ? "tape" : "", rse.flag("is_available") ? "up" : "down",
                rse.flag("is_enabled") ? "yes" : "no", rse.text("description"),
            ])
        }
        table.lines.forEach(output.line)
    }
}

struct RSEShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Show a storage element.")

    @Flag(name: [.customShort("j"), .customLong("json")], help: "As JSON.")
    var json = false
    @Argument(help: "Its name.")
    var name: String
    @OptionGroup var options: DispatcherOptions

    func run() async throws {
        guard let rse = try await DispatcherAccess(options).client().rse(name) else {
            Output(style: .people).line("RSE \(name) not found")
            throw ExitStatus.no
        }
        RSECommand.print(rse, json: json)
    }
}

/// What is said of a storage element when it is made or changed.
struct RSEValues: ParsableArguments {
    @Option(
        name: .customShort("e"),
        help: ArgumentHelp("Whether it is enabled: what is disabled is invisible. True or False.", valueName: "bool"))
    var isEnabled: Truth?
    @Option(name: .customShort("d"), parsing: .unconditional, help: ArgumentHelp("A description.", valueName: "text"))
    var text: String?
    @Option(name: .customShort("t"), help: ArgumentHelp("Whether it is tape. True or False.", valueName: "bool"))
    var isTape: Truth?
    @Option(name: .customShort("a"), help: ArgumentHelp("Whether it is available. True or False.", valueName: "bool"))
    var isAvailable: Truth?
    @Option(
        name: .customShort("o"), parsing: .unconditional,
        help: ArgumentHelp("Its preference, a number.", valueName: "number"))
    var preference: Int?
    @Option(
        name: .customShort("m"), parsing: .unconditional,
        help: ArgumentHelp("A prefix to add to paths.", valueName: "prefix"))
    var addPrefix: String?
    @Option(
        name: .customShort("l"), parsing: .unconditional,
        help: ArgumentHelp("A prefix to remove from paths.", valueName: "prefix"))
    var removePrefix: String?
    @Option(
        name: .customShort("i"),
        help: ArgumentHelp("How tape is asked: wlcg or native (dCache).", valueName: "interface"))
    var interface: String?
    @Option(
        name: .customShort("u"), parsing: .unconditional,
        help: ArgumentHelp("The URL for pinning, or its discovery.", valueName: "url"))
    var pinURL: String?
    @Option(
        name: .customShort("p"), parsing: .unconditional,
        help: ArgumentHelp("A prefix of paths that are pinned.", valueName: "prefix"))
    var pinPrefix: String?
    @Option(
        name: .customShort("f"), parsing: .unconditional,
        help: ArgumentHelp("The URL for polling (native only).", valueName: "url"))
    var pollURL: String?
    @Flag(name: [.customShort("j"), .customLong("json")], help: "Print it as JSON.")
    var json = false

    /// `True` and `False`, as the documentation writes them, in any case.
    enum Truth: String, ExpressibleByArgument, CaseIterable {
        case yes = "True"
        case no = "False"

        init?(argument: String) { self.init(rawValue: argument.capitalized) }
    }

    var change: RSEChange {
        var change = RSEChange()
        change.description = text
        change.isEnabled = isEnabled.map { $0 == .yes }
        change.isTape = isTape.map { $0 == .yes }
        change.isAvailable = isAvailable.map { $0 == .yes }
        change.preference = preference
        change.addPrefix = addPrefix
        change.removePrefix = removePrefix
        change.interface = interface
        change.pinURL = pinURL
        change.pinPrefix = pinPrefix
        change.pollURL = pollURL
        return change
    }
}

struct RSECreateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Add a storage element. For admins.",
        discussion: "What is not said is no: give -e True -a True for one that is to be used.")

    @OptionGroup var values: RSEValues
    @Argument(help: "Its name.")
    var name: String
    @OptionGroup var options: DispatcherOptions

    func run() async throws {
        RSECommand.print(
            try await DispatcherAccess(options).client().createRSE(name, values.change), json: values.json)
    }
}

struct RSEUpdateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "update", abstract: "Change a storage element. For admins.",
        discussion: "What is not said stays. What becomes unavailable or disabled is at once no place to read from.")

    @OptionGroup var values: RSEValues
    @Argument(help: "Its name.")
    var name: String
    @OptionGroup var options: DispatcherOptions

    func run() async throws {
        RSECommand.print(
            try await DispatcherAccess(options).client().updateRSE(name, values.change), json: values.json)
    }
}

struct RSEDeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Remove a storage element. For admins.")

    @Argument(help: "Its name.")
    var name: String
    @OptionGroup var options: DispatcherOptions

    func run() async throws { try await DispatcherAccess(options).client().deleteRSE(name) }
}

struct RSESetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Say that a storage element is up or down. For admins.")

    enum Direction: String, ExpressibleByArgument, CaseIterable { case up, down }

    @Argument(help: "up or down.")
    var direction: Direction
    @Argument(help: "Its name.")
    var name: String
    @OptionGroup var options: DispatcherOptions

    func run() async throws {
        try await DispatcherAccess(options).client().setRSE(name, isAvailable: direction == .up)
    }
}
