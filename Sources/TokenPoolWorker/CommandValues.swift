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
        let (template, files) = Self.namingAttachments(in: text)
        do {
            return try Template(template, quoting: quoting).expanded { name in
                if let file = files[name] { return .string(WorkFolder.fileName(ofAttachment: file)) }
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

    /// `{attachment:any name}` as a placeholder with a plain name, and what the plain names stand for.
    private static func namingAttachments(in text: String) -> (String, [String: String]) {
        var result = ""
        var files: [String: String] = [:]
        var rest = text[...]
        while let start = rest.firstRange(of: "{attachment:") {
            guard let end = rest[start.upperBound...].firstIndex(of: "}") else { break }
            let name = "attachment__\(files.count)"
            files[name] = String(rest[start.upperBound..<end])
            result += rest[..<start.lowerBound] + "{\(name)}"
            rest = rest[rest.index(after: end)...]
        }
        return (result + rest, files)
    }
}
