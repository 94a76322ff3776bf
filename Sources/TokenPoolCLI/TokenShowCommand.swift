import ArgumentParser
import CouchDB
import CouchDocument
import TokenPool

struct TokenShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a token: every field, and its attachments.",
        discussion: "With --json the document as it is.")

    @OptionGroup var options: GlobalOptions
    @Argument(help: "The token's id.")
    var id: String

    func run() async throws {
        let token = try await options.pool().token(id)
        var fields = token.document.fields
        fields["_attachments"] = nil
        let attachments = token.document.attachments.names.map { name in
            let stub = token.document.attachment(name)
            return "  \(Output.printable(name))  \(stub?.length ?? 0) bytes  \(stub?.contentType ?? "")"
        }
        options.output.answer(
            .object(token.document.fields),
            ["state: \(token.state.rawValue)", JSON.object(fields).prettyPrinted()]
                + (attachments.isEmpty ? [] : ["attachments:"] + attachments))
    }
}

struct TokenExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Say in words why a token is in its state.")

    @OptionGroup var options: GlobalOptions
    @Argument(help: "The token's id.")
    var id: String

    func run() async throws {
        let (token, explanation) = try await options.pool().explain(id, date: \.text)
        options.output.answer(
            [
                "id": .string(id), "state": .string(token.state.rawValue), "summary": .string(explanation.summary),
                "details": .array(explanation.details.map(JSON.string)),
            ], [explanation.summary] + explanation.details.map { "  " + Output.printable($0) })
    }
}
