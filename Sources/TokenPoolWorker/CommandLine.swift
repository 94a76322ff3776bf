import CouchDocument
import TokenPool

/// What is to be run for a token.
struct CommandLine: Hashable, Sendable {
    /// The program and its arguments.
    var arguments: [String]

    /// Finds a token's command: `pool.command`; else the pilot's own; else `input` as a line for the shell, as PiCaS'
    /// quick example has it; else the `master.sh` of its sandbox, as GRID_LRT has it.
    ///
    /// - Parameters:
    ///   - own: The arguments that the pilot was given for tokens without a command; templates.
    ///   - hasMaster: Whether the work folder has a `master.sh`.
    init(for token: Token, own: [String], database: String, hasMaster: Bool) throws {
        let values = TemplateValues(token: token, database: database)
        if let command = token.pool.command {
            arguments = try Self.fill(command, values)
        } else if !own.isEmpty {
            arguments = try own.map { try values.fill($0, quoting: .plain) }
        } else if let line = token.input.stringValue, !line.isEmpty {
            // Written by a person or PiCaS as it is to run: no templates.
            arguments = Self.shell(line)
        } else if hasMaster {
            arguments = ["./master.sh"]
        } else {
            throw RunFailure(
                "the token says nothing to run: it has no pool.command and its input is no command line; "
                    + "give `tokenpool work` a command after --")
        }
    }

    private static func fill(_ command: JSON, _ values: TemplateValues) throws -> [String] {
        switch command {
        case .string(let line):
            return shell(try values.fill(line, quoting: .shell))
        case .array(let words) where !words.isEmpty:
            return try words.map { word in
                guard let text = word.stringValue else { return word.description }
                return try values.fill(text, quoting: .plain)
            }
        default:
            throw RunFailure("pool.command is neither a line for the shell nor a list of arguments")
        }
    }

    private static func shell(_ line: String) -> [String] { ["/bin/sh", "-c", line] }
}

/// The values that templates in a command may name.
struct TemplateValues {
    let token: Token
    let database: String

    func fill(_ text: String, quoting: Template.Quoting) throws -> String {
        guard text.contains("{") else { return text }
        let (text, files) = Self.namingAttachments(in: text)
        do {
            return try Template(text, quoting: quoting).expanded { name in
                if let file = files[name] { return .string(WorkFolder.fileName(ofAttachment: file)) }
                return value(name)
            }
        } catch let error as TemplateError {
            throw RunFailure("the command `\(text)`: \(error)")
        }
    }

    private func value(_ name: String) -> JSON? {
        switch name {
        case "id": .string(token.id)
        case "set": .string(token.pool.set ?? "")
        case "database": .string(database)
        case "attempt": .integer(token.pool.attempts)
        default: token[name]
        }
    }

    /// `{attachment:any name}` as a placeholder with a plain name, and what the plain names stand for.
    private static func namingAttachments(in text: String) -> (String, [String: String]) {
        var result = ""
        var files: [String: String] = [:]
        var rest = text[...]
        let opening = "{attachment:"
        while let start = rest.firstRange(of: opening) {
            guard let end = rest[start.upperBound...].firstIndex(of: "}") else { break }
            let name = "attachment__\(files.count)"
            files[name] = String(rest[start.upperBound..<end])
            result += rest[..<start.lowerBound] + "{\(name)}"
            rest = rest[rest.index(after: end)...]
        }
        return (result + rest, files)
    }
}

/// Why a token could not be run, for its `error` list.
struct RunFailure: Error, CustomStringConvertible {
    let description: String
    var exitCode: Int?

    init(_ description: String, exitCode: Int? = nil) {
        self.description = description
        self.exitCode = exitCode
    }
}
