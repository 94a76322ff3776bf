import ArgumentParser
import CouchDB
import CouchDocument
import Foundation
import TokenPool

struct SetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Sets of tokens: make them from a file, watch them, fetch what came out.",
        subcommands: [
            SetCreateCommand.self, SetListCommand.self, SetShowCommand.self, SetWatchCommand.self,
            SetCollectCommand.self, SetResetCommand.self, SetCancelCommand.self, SetResumeCommand.self,
            SetDeleteCommand.self, SetArchiveCommand.self, SetRestoreCommand.self, SetChangeCommand.self,
        ])
}

extension GlobalOptions {
    /// The sets of the pool. Nothing is sent yet.
    func tokenSets() throws -> TokenSets { TokenSets(Pool(database: try poolDatabase(), logger: logger)) }
}

/// A set by its name, as most commands take it.
struct SetName: ParsableArguments {
    @Argument(help: "The set's name.")
    var name: String
}

extension TokenState: ExpressibleByArgument {}

extension Duration {
    /// `1h02m`, `3m20s`, `12s`.
    var shortText: String {
        let seconds = Int(components.seconds)
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        if seconds >= 86_400 { return "\(seconds / 86_400)d\(two(seconds % 86_400 / 3600))h" }
        if seconds >= 3600 { return "\(seconds / 3600)h\(two(seconds % 3600 / 60))m" }
        return seconds >= 60 ? "\(seconds / 60)m\(two(seconds % 60))s" : "\(seconds)s"
    }
}

extension Timestamp {
    /// The moment in UTC, as `2030-01-31 18:00:00Z`.
    var text: String {
        Date(timeIntervalSince1970: Double(milliseconds) / 1000)
            .formatted(.iso8601.dateTimeSeparator(.space))
    }
}

/// A duration on a command line: `90s`, `5m`, `1h30m`.
struct DurationArgument: ExpressibleByArgument {
    let duration: Duration

    init?(argument: String) {
        guard let seconds = Quantity.seconds(argument) else { return nil }
        duration = .seconds(seconds)
    }
}

/// A size on a command line: `500K`, `8G`, `8GB`.
struct SizeArgument: ExpressibleByArgument {
    let bytes: Int

    init?(argument: String) {
        guard let bytes = Quantity.bytes(argument) else { return nil }
        self.bytes = bytes
    }
}

struct SetChangeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "change", abstract: "Change how much of the pool a set may have.")

    @OptionGroup var set: SetName
    @Option(help: "How many of its tokens may be held at once; or none, for any number.")
    var limit: String?
    @Option(help: "Its part of the pool beside other sets with work, such as 2 or 0.5.")
    var share: Double?
    @OptionGroup var options: GlobalOptions

    func validate() throws {
        if let limit, limit != "none", Int(limit).map({ $0 < 0 }) ?? true {
            throw ValidationError("--limit wants a number or none, not \"\(limit)\"")
        }
        if let share, !(share > 0) { throw ValidationError("--share must be more than 0") }
    }

    func run() async throws {
        let changed = try await options.tokenSets().change(set.name, limit: limit.map { Int($0) }, share: share)
        let limit = changed.limit.map(JSON.integer) ?? .null
        options.output.answer(
            ["set": .string(changed.name), "limit": limit, "share": changed.share.flatMap(JSON.double) ?? 1],
            [
                "set \"\(Output.printable(changed.name))\": limit \(changed.limit.map(String.init) ?? "none"), "
                    + "share \(changed.share ?? 1); workers follow within half a minute"
            ])
    }
}
