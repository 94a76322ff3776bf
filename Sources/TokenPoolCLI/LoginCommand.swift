import ArgumentParser
import CouchDB
import CouchDocument
import Foundation

struct LoginCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "login", abstract: "Remember a server, a user and a password for the commands to come.",
        discussion: """
            The password is asked for at the terminal, or read from the first line of stdin. It is checked against the \
            server, then kept in ~/.config/tokenpool/password, which only you can read.
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: "The user name.")
    var user: String

    func run() async throws {
        let settings = try options.settings()
        guard let password = SecretFile.readPassword(prompt: "password for \(user) at \(Redaction.url(settings.url)): ")
        else {
            throw CommandFailure(message: "no password was given", status: .usage)
        }
        var configuration = try settings.serverConfiguration(logger: options.logger)
        configuration.credentials = .basic(user: user, password: password)
        _ = try await Server(configuration).session()

        let folder = (Settings.defaultPath() as NSString).deletingLastPathComponent
        try SecretFile.makeFolder(folder)
        try SecretFile.write(password + "\n", to: folder + "/password")
        let lines = ["url: \(Self.quoted(settings.url))", "database: \(Self.quoted(settings.database))"]
        let rest = ["user: \(Self.quoted(user))", "password_file: password"]
        try SecretFile.write((lines + rest).joined(separator: "\n") + "\n", to: Settings.defaultPath())
        options.output.answer(
            ["ok": true, "user": .string(user)], ["signed in as \(user); settings are in \(Settings.defaultPath())"])
    }

    /// JSON strings are YAML strings.
    private static func quoted(_ text: String) -> String { JSON.string(text).description }
}
