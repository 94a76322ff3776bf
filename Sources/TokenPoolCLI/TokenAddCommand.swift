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
    @Option(help: "A token, or set_NAME for a set, that must be done first; repeat for more.")
    var after: [String] = []
    @Option(help: "A token or set that must be over first, done or not; repeat for more.")
    var afterAny: [String] = []
    @Option(help: "Not before this much time has passed, such as 2h.")
    var delay: DurationArgument?
    @Option(help: "What a worker must offer, such as cores=4, memory=8G or site=sara; repeat for more.")
    var requires: [RequirementArgument] = []
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
        token.pool.requires = JSONObject(requires.map { ($0.name, $0.value) })
        token.pool.after = after
        token.pool.afterAny = afterAny
        if let delay { token.pool.notBefore = pool.clock.now() + delay.duration }
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
        switch try await pool.add(token) {
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

/// A requirement and its value as people write them: `cores=4`, `memory=8G`, `walltime=2h`, `site=sara`.
struct RequirementArgument: ExpressibleByArgument {
    let name: String
    let value: JSON

    init?(argument: String) {
        guard let field = FieldArgument(argument: argument) else { return nil }
        name = field.name
        let text = argument.dropFirst(name.count + 1)
        switch name {
        case "cores", "gpus":
            guard let count = Int(text), count >= 0 else { return nil }
            value = .integer(count)
        case "memory":
            guard let bytes = Quantity.bytes(String(text)) else { return nil }
            value = .integer(bytes)
        case "walltime":
            guard let seconds = Quantity.seconds(String(text)) else { return nil }
            value = .integer(seconds)
        default: value = field.value
        }
    }
}
