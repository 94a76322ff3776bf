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
    @Option(
        help: "Remove projects with all their files so long after they came to their end, such as 90d; or never.")
    var removeProjectsAfter: String?
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let pool = try options.pool()
        var settings = try await pool.janitorSettings()
        let before = settings
        if let takeBackAfter { settings.takeBackAfter = try Self.time(takeBackAfter, "--take-back-after") }
        if let removeProjectsAfter {
            settings.removeProjectsAfter = try Self.time(removeProjectsAfter, "--remove-projects-after")
        }
        if settings != before { try await pool.save(settings) }
        let shown = [
            ("take_back_after", settings.takeBackAfter), ("remove_projects_after", settings.removeProjectsAfter),
        ]
        options.output.answer(
            .object(JSONObject(shown.map { ($0, $1.map { .integer(Int($0.components.seconds)) } ?? .null) })),
            shown.map { "\($0): \($1?.shortText ?? "never")" })
    }

    /// A time, or `nil` for never.
    private static func time(_ text: String, _ option: String) throws -> Duration? {
        guard text != "never" else { return nil }
        guard let time = DurationArgument(argument: text) else {
            throw ValidationError("\(option) wants a time such as 24h, or never, not \"\(text)\"")
        }
        return time.duration
    }
}
