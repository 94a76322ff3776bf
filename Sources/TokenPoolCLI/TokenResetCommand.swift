import ArgumentParser
import CouchDB
import CouchDocument
import TokenPool

struct TokenResetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reset", abstract: "Put tokens back to todo, as PiCaS' resetTokens does.",
        discussion: """
            Exit code, logs and outputs go; inputs, errors and the history stay. A token that a worker holds is taken from \
            it: the worker notices, stops the command, and keeps its result aside.
            """)

    @OptionGroup var options: GlobalOptions
    @Argument(help: "The tokens' ids.")
    var ids: [String] = []
    @Option(help: "All tokens of a view, such as Monitor/error.")
    var view: ViewArgument?
    @Option(help: "Of these only tokens locked for longer than this, such as 12h.")
    var lockedFor: DurationArgument?
    @Flag(help: "Keep logs and outputs attached.")
    var keepAttachments = false

    func run() async throws {
        guard ids.isEmpty != (view == nil) else { throw ValidationError("give either ids or --view") }
        let pool = try options.pool()
        let output = options.output
        func note(_ id: String) { output.event(["reset": .string(id)], "reset \(Output.printable(id))") }
        let report: BulkChangeReport
        if let view {
            report = try await pool.reset(
                view.name, lockedFor: lockedFor?.duration, keepingAttachments: keepAttachments, note: note)
        } else {
            report = try await pool.reset(
                ids, lockedFor: lockedFor?.duration, keepingAttachments: keepAttachments, note: note)
        }
        output.answer(["count": .integer(report.changed)], ["\(report.changed) tokens are todo again"])
        try report.complain(output)
    }
}

extension BulkChangeReport {
    /// Says what could not be changed, and that the answer is then no.
    func complain(_ output: Output) throws {
        for id in missing { output.complain("there is no token \"\(id)\"") }
        for id in contended { output.complain("token \"\(id)\": others change it each time; try again") }
        if !missing.isEmpty || !contended.isEmpty { throw ExitStatus.no }
    }
}
