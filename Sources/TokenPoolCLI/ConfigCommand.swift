import ArgumentParser
import CouchDB
import CouchDocument

struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "The settings in force.", subcommands: [Show.self, Check.self])

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Each setting and the place it came from. No secrets.")

        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let settings = try options.settings()
            var rows = [
                ["url", Redaction.url(settings.url), settings.urlSetting.source],
                ["database", settings.database, settings.databaseSetting.source],
            ]
            if let user = settings.user { rows.append(["user", user.value, user.source]) }
            if let source = settings.passwordSource { rows.append(["password", "(set)", source]) }
            if let authority = settings.certificateAuthority {
                rows.append(["ca_file", authority.value, authority.source])
            }
            options.output.table(["setting", "value", "from"], rows)
        }
    }

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Reach the server, sign in, and find the database.")

        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let database = try options.poolDatabase()
            let info = try await database.info()
            options.output.answer(
                ["ok": true, "database": .string(database.name), "documents": .integer(info.documentCount)],
                ["database \"\(database.name)\" is there, with \(info.documentCount) documents"])
        }
    }
}

/// Takes passwords out of what people see.
enum Redaction {
    static func url(_ text: String) -> String {
        guard let scheme = text.firstRange(of: "://"),
            let at = text[scheme.upperBound...].prefix(while: { $0 != "/" }).lastIndex(of: "@"),
            let colon = text[scheme.upperBound..<at].firstIndex(of: ":")
        else { return text }
        return text[...colon] + "…" + text[at...]
    }
}
