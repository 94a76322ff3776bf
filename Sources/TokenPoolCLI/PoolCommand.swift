import ArgumentParser
import CouchDB
import CouchDocument
import TokenPool

struct PoolCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pool", abstract: "The pool as a whole: its settings, and what happens in it.",
        subcommands: [
            PoolSettingsCommand.self, PoolEventsCommand.self, PoolLogCommand.self, PoolJobCommand.self,
        ])
}

struct PoolSettingsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "settings", abstract: "Show or change what the pool wants of its janitors.")

    @Option(
        help: "Take tokens back from workers without leases (PiCaS, GRID_LRT) after this time, such as 24h; or never.")
    var takeBackAfter: String?
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let pool = try options.pool()
        var settings = try await pool.janitorSettings()
        if let takeBackAfter {
            guard takeBackAfter == "never" || DurationArgument(argument: takeBackAfter) != nil else {
                throw ValidationError("--take-back-after wants a time such as 24h, or never, not \"\(takeBackAfter)\"")
            }
            settings.takeBackAfter = DurationArgument(argument: takeBackAfter)?.duration
            try await pool.save(settings)
        }
        let seconds = settings.takeBackAfter.map { Int($0.components.seconds) }
        options.output.answer(
            ["take_back_after": seconds.map(JSON.integer) ?? .null],
            ["take_back_after: \(settings.takeBackAfter?.shortText ?? "never")"])
    }
}
