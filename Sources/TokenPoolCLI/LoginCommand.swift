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
        guard let password = Self.readPassword(prompt: "password for \(user) at \(Redaction.url(settings.url)): ")
        else {
            throw CommandFailure(message: "no password was given", status: .usage)
        }
        var configuration = try settings.serverConfiguration(logger: options.logger)
        configuration.credentials = .basic(user: user, password: password)
        _ = try await Server(configuration).session()

        let folder = (Settings.defaultPath() as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Self.write(password + "\n", to: folder + "/password")
        let lines = ["url: \(Self.quoted(settings.url))", "database: \(Self.quoted(settings.database))"]
        let rest = ["user: \(Self.quoted(user))", "password_file: password"]
        try Self.write((lines + rest).joined(separator: "\n") + "\n", to: Settings.defaultPath())
        options.output.answer(
            ["ok": true, "user": .string(user)], ["signed in as \(user); settings are in \(Settings.defaultPath())"])
    }

    /// JSON strings are YAML strings.
    private static func quoted(_ text: String) -> String { JSON.string(text).description }

    /// Writes a file that nobody else can read, not even for a moment.
    private static func write(_ text: String, to path: String) throws {
        let temporary = path + ".new"
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else {
            throw CommandFailure(message: "can not write \(path): \(String(cString: strerror(errno)))")
        }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        try handle.write(contentsOf: Data(text.utf8))
        try handle.close()
        guard rename(temporary, path) == 0 else {
            throw CommandFailure(message: "can not write \(path): \(String(cString: strerror(errno)))")
        }
    }

    /// The password as typed, unseen; or the first line of stdin when that is no terminal.
    private static func readPassword(prompt: String) -> String? {
        if isatty(STDIN_FILENO) == 1 {
            guard let typed = getpass(prompt) else { return nil }
            return String(cString: typed)
        }
        return readLine(strippingNewline: true)
    }
}
