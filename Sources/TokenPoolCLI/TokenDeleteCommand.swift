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
        var count = 0
        for id in ids {
            try await pool.delete(id)
            count += 1
        }
        if let view {
            let report = try await pool.delete(view.name)
            count = report.changed
            try report.complain(options.output)
        }
        options.output.answer(["count": .integer(count)], ["\(count) tokens are deleted"])
    }
}
