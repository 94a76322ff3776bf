import ArgumentParser
import CouchDB
import CouchDocument
import TokenPool

struct TokenDeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete tokens, by id or by view, as PiCaS' deleteTokens does.",
        discussion: """
            Whoever holds a deleted token notices and stops. What somebody changed meanwhile is read again, and deleted \
            only if the view still has it.
            """)

    @OptionGroup var options: GlobalOptions
    @Argument(help: "The tokens' ids.")
    var ids: [String] = []
    @Option(help: "All tokens of a view, such as Monitor/error.")
    var view: ViewArgument?

    func run() async throws {
        guard ids.isEmpty != (view == nil) else { throw ValidationError("give either ids or --view") }
        let pool = try options.pool()
        let output = options.output
        func note(_ id: String) { output.event(["deleted": .string(id)], "deleted \(Output.printable(id))") }
        let report: BulkChangeReport
        if let view {
            report = try await pool.delete(view.name, note: note)
        } else {
            report = try await pool.delete(ids, note: note)
        }
        output.answer(["count": .integer(report.changed)], ["\(report.changed) tokens are deleted"])
        try report.complain(output)
    }
}
