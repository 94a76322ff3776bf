import ArgumentParser
import CouchDB
import CouchDocument
import Foundation

struct LoginCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "login", abstract: "Sign in, for the commands to come.",
        usage: """
            login [<options>] <user>
                   login [<options>] -m password <user>
                   login [<options>] -m x509 <user> <certificate or proxy> [<key>]
                   login [<options>] -m token [-t (<token>|<token file>)] <user>
            """,
        discussion: """
            As `tokenpool login USER`: remembers the server, the user and the password of the pool. The password is asked \
            for at the terminal, or read from the first line of stdin. It is checked against the server, then kept in \
            ~/.config/tokenpool/password, which only you can read.

            With -m (as `ddisp` always): signs in at the dispatcher and keeps the token in the file .token_library. A token \
            of the grid is looked for in -t, BEARER_TOKEN, the file of BEARER_TOKEN_FILE, and bt_u<ID> in XDG_RUNTIME_DIR.
            """)

    @OptionGroup var options: GlobalOptions

    @Option(name: .customShort("m"), help: "Sign in at the dispatcher in this way.")
    var method: LoginMethod?
    @Option(
        name: .customShort("t"), parsing: .unconditional, help: "The token for -m token, or a file that holds it.")
    var token: String?
    @Argument(help: "The user name, and what the way of signing in wants besides.")
    var words: [String] = []

    func validate() throws {
        if isForDispatcher {
            _ = try DispatcherLogin(method, words, bearer: token)
        } else if words.count != 1 {
            throw ValidationError(
                words.isEmpty ? "Missing expected argument '<user>'" : "Unexpected argument '\(words[1])'")
        }
    }

    private var isForDispatcher: Bool {
        CalledAs.now == .ddisp || method != nil || token != nil
            || words.count > 1 && words.first.flatMap(LoginMethod.init) != nil
    }

    func run() async throws {
        if isForDispatcher {
            try await DispatcherLogin(method, words, bearer: token).run(options)
        } else {
            try await signInToPool(words[0])
        }
    }

    private func signInToPool(_ user: String) async throws {
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
