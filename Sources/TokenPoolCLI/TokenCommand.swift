import ArgumentParser
import CouchDB
import CouchDocument
import TokenPool

struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Single tokens: add, list, show, explain, edit, reset, delete, attach, get, log.",
        subcommands: [
            TokenAddCommand.self, TokenListCommand.self, TokenShowCommand.self, TokenExplainCommand.self,
            TokenEditCommand.self, TokenResetCommand.self, TokenDeleteCommand.self, TokenAttachCommand.self,
            TokenGetCommand.self,
            TokenLogCommand.self,
        ])
}

extension GlobalOptions {
    /// The pool in the database of the settings.
    func pool() throws -> Pool { Pool(database: try poolDatabase(), logger: logger) }
}

/// A field and its value as people write them: `NAME=VALUE`; the value is JSON when it can be read as such, else text.
struct FieldArgument: ExpressibleByArgument {
    let name: String
    let value: JSON

    init?(argument: String) {
        guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex else { return nil }
        name = String(argument[..<equals])
        let text = String(argument[argument.index(after: equals)...])
        value = (try? JSON(parsing: text)) ?? .string(text)
    }

    /// Refuses what CouchDB or the pool itself keeps.
    func check() throws {
        guard !name.hasPrefix("_"), name != "pool" else {
            throw ValidationError(
                "field \"\(name)\" can not be set: names with _ are CouchDB's, and pool is tokenpool's")
        }
    }
}

/// A view as people write it: `Monitor/todo`.
struct ViewArgument: ExpressibleByArgument {
    let name: ViewName

    init?(argument: String) {
        guard let name = ViewName(argument) else { return nil }
        self.name = name
    }
}
