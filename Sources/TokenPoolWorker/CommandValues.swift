import CouchDocument
import TokenPool

/// What templates in a token's command and environment may name: the token's fields, and what only its worker knows.
struct CommandValues: Sendable {
    let claim: ClaimedToken
    let database: String
    /// The folder that the command runs in; the sandbox is unpacked there.
    let folder: String
    /// The number of the slot, from 0.
    let slot: Int

    var token: Token { claim.token }

    /// Fills in a template.
    ///
    /// - Throws: ``RunFailure`` for a name that nothing has, since a command with a hole in it must not run.
    func fill(_ text: String, quoting: Template.Quoting) throws -> String {
        guard text.utf8.contains(UInt8(ascii: "{")) else { return text }
        do {
            return try Template(text, quoting: quoting).expanded { name in
                if name.hasPrefix("attachment:") {
                    return .string(WorkFolder.fileName(ofAttachment: String(name.dropFirst("attachment:".count))))
                }
                return value(name)
            }
        } catch let error as TemplateError {
            throw RunFailure("`\(text)`: \(error)")
        }
    }

    private func value(_ name: String) -> JSON? {
        switch name {
        case "id", "token": .string(token.id)
        case "set": .string(token.pool.set ?? "")
        case "database": .string(database)
        case "attempt": .integer(claim.attempt)
        case "folder", "sandbox": .string(folder)
        case "cores": token.pool.requires["cores"] ?? 1
        case "host": .string(claim.worker.hostname)
        case "worker": .string(claim.worker.name)
        case "slot": .integer(slot)
        default: token[name]
        }
    }
}
