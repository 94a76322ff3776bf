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
    ///   - values: What templates may name.
    ///   - hasMaster: Whether the work folder has a `master.sh`.
    init(for token: Token, own: [String], values: CommandValues, hasMaster: Bool) throws {
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

    private static func fill(_ command: JSON, _ values: CommandValues) throws -> [String] {
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

/// Why a token could not be run, for its `error` list.
struct RunFailure: Error, CustomStringConvertible {
    let description: String
    var exitCode: Int?

    init(_ description: String, exitCode: Int? = nil) {
        self.description = description
        self.exitCode = exitCode
    }
}
