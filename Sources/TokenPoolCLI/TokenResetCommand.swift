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
    @Option(help: "Of the view's tokens only those locked for longer than this, such as 12h.")
    var lockedFor: DurationArgument?
    @Flag(help: "Keep logs and outputs attached.")
    var keepAttachments = false

    func run() async throws {
        guard ids.isEmpty != (view == nil) else { throw ValidationError("give either ids or --view") }
        let pool = try options.pool()
        let now = pool.clock.now()
        var count = 0
        func reset(_ id: String) async throws {
            var isChanged = false
            try await pool.update(id) { token in
                isChanged = false
                if let lockedFor, now - Timestamp(seconds: token.lock) <= lockedFor.duration { return false }
                token.reset(keepingAttachments: keepAttachments ? nil : Set(token.inputAttachments), at: now)
                isChanged = true
                return true
            }
            if isChanged {
                count += 1
                options.output.event(["reset": .string(id)], "reset \(Output.printable(id))")
            }
        }
        for id in ids { try await reset(id) }
        if let view {
            let report = try await pool.reset(
                view.name, lockedFor: lockedFor?.duration, keepingAttachments: keepAttachments)
            count = report.changed
            try report.complain(options.output)
        }
        options.output.answer(["count": .integer(count)], ["\(count) tokens are todo again"])
    }
}

extension ViewChangeReport {
    /// Says which tokens others changed each time, and that the answer is then no.
    func complain(_ output: Output) throws {
        guard !contended.isEmpty else { return }
        for id in contended { output.say("\(Output.printable(id)): others change it each time; try again") }
        throw ExitStatus.no
    }
}
