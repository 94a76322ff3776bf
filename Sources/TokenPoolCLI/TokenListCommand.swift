import ArgumentParser
import CouchDB
import CouchDocument
import TokenPool

struct TokenListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List tokens, by set, state or view.",
        discussion: "Rows appear as they are read, so the list may be as long as it likes.")

    @OptionGroup var options: GlobalOptions
    @Option(help: "Of this set only.")
    var set: String?
    @Option(help: "In this state only: todo, waiting, locked, done or error; repeat for more.")
    var state: [TokenState] = []
    @Option(help: "What a view has, such as Monitor/error, instead of all tokens.")
    var view: ViewArgument?
    @Option(help: "At most so many (default: all).")
    var limit: Int?

    func run() async throws {
        let database = try options.poolDatabase()
        var query = ViewQuery()
        query.includeDocuments = true
        query.reduce = false
        if let set {
            guard view == nil else { throw ValidationError("--set and --view can not be used together") }
            query.key = .string(set)
        }
        let name = view?.name ?? ViewName(design: "tokenpool", view: "tokens")
        var count = 0
        if options.output.style == .people { options.output.line(Self.line("STATE", "TRIES", "SINCE", "HOST", "ID")) }
        do {
            for try await row in database.rows(name, query) {
                guard let token = row.document.map(Token.init), state.isEmpty || state.contains(token.state) else {
                    continue
                }
                show(token)
                count += 1
                if count == limit { break }
            }
        } catch CouchDBError.notFound {
            throw CommandFailure(
                message: "view \"\(name)\" is not in database \"\(database.name)\": run `tokenpool views push`")
        }
    }

    private func show(_ token: Token) {
        let moment = token.done > 0 ? token.done : max(0, token.lock)
        switch options.output.style {
        case .quiet: options.output.line(Output.printable(token.id))
        case .json:
            options.output.line(
                JSON.object([
                    "id": .string(token.id), "state": .string(token.state.rawValue),
                    "set": .string(token.pool.set ?? ""),
                    "lock": .integer(token.lock), "done": .integer(token.done), "hostname": .string(token.hostname),
                    "exit_code": token.exitCode ?? .null, "attempts": .integer(token.pool.attempts),
                    "scrub_count": .integer(token.scrubCount),
                ]).description)
        case .people:
            options.output.line(
                Self.line(
                    token.state.rawValue, String(token.pool.attempts),
                    moment > 0 ? Timestamp(seconds: moment).text : "-", token.hostname.isEmpty ? "-" : token.hostname,
                    Output.printable(token.id)))
        }
    }

    private static func line(_ state: String, _ tries: String, _ since: String, _ host: String, _ id: String) -> String
    {
        func padded(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(1, width - text.count))
        }
        return padded(state, 9) + padded(tries, 7) + padded(since, 21) + padded(host, 17) + id
    }
}
