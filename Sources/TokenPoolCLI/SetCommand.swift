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
            SetDeleteCommand.self, SetArchiveCommand.self, SetRestoreCommand.self,
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
