import ArgumentParser
import CouchDB
import CouchDocument
import Foundation
import Sandboxes
import TokenPool

struct TokenAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Add a token.",
        discussion: """
            With --input TEXT alone the text is the command line that runs, as in PiCaS. With --command the input is data \
            for it. Many tokens are made with `tokenpool set create`.
            """)

    @OptionGroup var options: GlobalOptions
    @Argument(help: "The token's id (default: token_ and random digits).")
    var id: String?
    @Option(help: "The input: JSON, or a text.")
    var input: String?
    @Option(help: "The command line for the shell, with {templates} such as {id} and {input}.")
    var command: String?
    @Option(help: "The type (default: token, as PiCaS has it).")
    var type = "token"
    @Option(help: "The set that it belongs to.")
    var set: String?
    @Option(help: "Greater goes first.")
    var priority: Int?
    @Option(help: "How many tries it may have (default: 1).")
    var maxAttempts: Int?
    @Option(help: "How long the command may take, such as 90s or 2h.")
    var timeLimit: DurationArgument?
    @Option(help: "A file that goes with it; repeat for more.", completion: .file())
    var attach: [String] = []
    @Option(help: "A glob of files to keep as outputs; repeat for more.")
    var output: [String] = []
    @Option(help: "Another field, NAME=VALUE; repeat for more.")
    var field: [FieldArgument] = []

    func run() async throws {
        let pool = try options.pool()
        var token = Token(id: id ?? "token_" + UUID().uuidString.lowercased().replacing("-", with: ""), type: type)
        if let input {
            token.input = (try? JSON(parsing: input)).flatMap { $0.objectValue.map(JSON.object) } ?? .string(input)
        }
        for field in field {
            try field.check()
            token[field.name] = field.value
        }
        token.pool.set = set
        token.pool.priority = priority
        token.pool.maxAttempts = maxAttempts
        token.pool.timeLimit = timeLimit?.duration
        token.pool.command = command.map(JSON.string)
        token.pool.outputs = output
        var names: Set<String> = []
        for path in attach {
            let name = URL(filePath: path).lastPathComponent
            guard names.insert(name).inserted else {
                throw ValidationError("two attached files are called \"\(name)\"")
            }
            token.attach(
                .init(
                    name: name, contentType: ContentType.ofFile(named: name),
                    bytes: Array(try Data(contentsOf: URL(filePath: path)))))
        }
        switch try await pool.save(token) {
        case .saved(let saved):
            options.output.answer(
                ["id": .string(saved.id), "rev": .string(saved.revision?.description ?? "")], [saved.id])
        case .superseded:
            throw CommandFailure(
                message:
                    "adding token \"\(token.id)\": there is a document of that id; choose another, or `token edit` it")
        }
    }
}
