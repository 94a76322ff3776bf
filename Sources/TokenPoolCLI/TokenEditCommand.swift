import ArgumentParser
import CouchDB
import CouchDocument
import Foundation
import TokenPool

struct TokenEditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "edit", abstract: "Change a token: with --set and --unset, or in $EDITOR.",
        discussion: """
            A change is written only on what was read: when somebody else changed the token meanwhile, --set and --unset are \
            made again on theirs, and an edited text is refused.
            """)

    @OptionGroup var options: GlobalOptions
    @Argument(help: "The token's id.")
    var id: String
    @Option(help: "Set a field, NAME=VALUE; repeat for more.")
    var set: [FieldArgument] = []
    @Option(help: "Remove a field; repeat for more.")
    var unset: [String] = []

    func run() async throws {
        let pool = try options.pool()
        let saved: Token
        if set.isEmpty && unset.isEmpty {
            saved = try await editText(pool)
        } else {
            for field in set { try field.check() }
            saved = try await pool.update(id) { token in
                let before = token
                for field in set { token[field.name] = field.value }
                for name in unset where !name.hasPrefix("_") { token[name] = nil }
                return token != before
            }
        }
        options.output.answer(
            ["id": .string(saved.id), "rev": .string(saved.revision?.description ?? "")],
            ["token \"\(Output.printable(saved.id))\" is \(saved.state.rawValue)"])
    }

    private func editText(_ pool: Pool) async throws -> Token {
        let token = try await pool.token(id)
        let path = FileManager.default.temporaryDirectory.appending(path: "tokenpool-\(UUID().uuidString).json")
            .path(percentEncoded: false)
        try Data((JSON.object(token.document.fields).prettyPrinted() + "\n").utf8).write(to: URL(filePath: path))
        defer { unlink(path) }
        chmod(path, 0o600)
        try Self.openEditor(on: path)
        let text = try Data(contentsOf: URL(filePath: path))
        let edited: JSON
        do {
            edited = try JSON(parsing: text)
        } catch {
            throw CommandFailure(message: "the edited token \"\(id)\" is no JSON (\(error)); nothing was written")
        }
        guard let fields = edited.objectValue, fields["_id"] == .string(id) else {
            throw CommandFailure(
                message: "the edited token \"\(id)\" is no object with its own _id; nothing was written")
        }
        guard fields != token.document.fields else { return token }
        guard case .saved(let saved) = try await pool.save(Token(Document(fields: fields))) else {
            throw CommandFailure(
                message: "somebody changed token \"\(id)\" while it was edited; nothing was written, edit it again")
        }
        return saved
    }

    private static func openEditor(on path: String) throws {
        let environment = ProcessInfo.processInfo.environment
        let editor = environment["VISUAL"] ?? environment["EDITOR"] ?? "vi"
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        // The editor may come with arguments; the path goes as one of its own.
        process.arguments = ["-c", editor + " \"$1\"", "sh", path]
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw CommandFailure(message: "the editor `\(editor)` failed; nothing was written")
        }
    }
}
