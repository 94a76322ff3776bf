import ArgumentParser
import CouchDB
import Logging
import TokenPool

/// What every command takes.
struct GlobalOptions: ParsableArguments {
    @Option(help: "The server, such as https://user@host:6984. A password may stand in it or in --password-file.")
    var url: String?

    @Option(name: [.long, .customShort("d")], help: "The database that holds the pool (default: tokenpool).")
    var database: String?

    @Option(help: "A file whose first line is the password.", completion: .file())
    var passwordFile: String?

    @Option(
        help: "A settings file (default: ~/.config/tokenpool/config.yaml).", completion: .file(extensions: ["yaml"]))
    var config: String?

    @Option(name: .customLong("cacert"), help: "A file of certificates that may sign the server's (PEM).")
    var certificateAuthority: String?

    @Flag(help: "Do not verify the server's certificate. For this server only.")
    var insecure = false

    @Flag(help: "Answer in JSON: one document, or a line an event.")
    var json = false

    @Flag(name: [.short, .long], help: "Say only what was asked for.")
    var quiet = false

    @Flag(name: [.short, .long], help: "Say what happens (twice: every request).")
    var verbose: Int

    /// The settings behind these options; see ``Settings/resolve(_:environment:home:)``.
    func settings() throws -> Settings { try Settings.resolve(self) }

    /// Where and how the command answers.
    var output: Output { Output(style: json ? .json : quiet ? .quiet : .people) }

    /// A logger to stderr: warnings, with -v what happens, with -vv every request.
    var logger: Logger {
        var logger = Logger(label: "tokenpool") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = verbose > 1 ? .trace : verbose == 1 ? .info : .warning
        return logger
    }

    /// A handle on the server. Nothing is sent yet.
    func server() throws -> Server { try Server(settings().serverConfiguration(logger: logger)) }

    /// A handle on the pool's database. Nothing is sent yet.
    func poolDatabase() throws -> Database {
        let settings = try settings()
        return try Server(settings.serverConfiguration(logger: logger)).database(settings.database)
    }
}
