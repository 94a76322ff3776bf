import ArgumentParser
import CouchDocument
import Logging
import TokenPool

struct PoolLogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "What programs logged into the pool, PiCaS' and ours; oldest first.",
        discussion: "`tokenpool work --log-documents` writes there.")

    @Option(help: "Only of the last while, such as 1h (default: all).")
    var since: DurationArgument?
    @Option(help: "Only lines as grave as this: debug, info, notice, warning, error or critical (default: all).")
    var level: LevelArgument?
    @Option(help: "The newest so many (default: 1000).")
    var limit = 1000
    @Option(help: "Delete lines that are older than this, such as 30d, instead of showing any.")
    var deleteOlderThan: DurationArgument?
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let pool = try options.pool()
        if let deleteOlderThan {
            let moment = pool.clock.now() - deleteOlderThan.duration
            let report = try await pool.delete(.log, upTo: moment.json)
            options.output.answer(["deleted": .integer(report.changed)], ["\(report.changed) lines are deleted"])
            return
        }
        let lines = try await pool.log(
            since: since.map { pool.clock.now() - $0.duration }, level: level?.level.pythonNumber ?? 0, limit: limit)
        for line in lines {
            let more = line.metadata.map { "\($0.name)=\($0.value.stringValue ?? $0.value.description)" }
            options.output.answer(
                .object(line.document.fields),
                [
                    Output.printable(
                        ([line.created?.text ?? "-", line.levelName, line.host, line.message] + more).joined(
                            separator: " "))
                ])
        }
    }
}

/// A level of a log.
struct LevelArgument: ExpressibleByArgument {
    let level: Logger.Level

    init?(argument: String) {
        guard let level = Logger.Level(rawValue: argument) else { return nil }
        self.level = level
    }
}
