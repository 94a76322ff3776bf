import ArgumentParser
import Logging

/// What commands take that find a server.
protocol ServerOptions {
    var url: String? { get }
    var database: String? { get }
    var passwordFile: String? { get }
    var config: String? { get }
    var certificateAuthority: String? { get }
    var insecure: Bool { get }
    var logger: Logger { get }
}

extension GlobalOptions: ServerOptions {}

/// What the commands for projects, files, workers and storage elements take beside their own: no short names, which are
/// Data Dispatcher's.
struct DispatcherOptions: ParsableArguments, ServerOptions {
    @Option(help: "The server, such as https://user@host:6984 (default: DATA_DISPATCHER_URL, then as everywhere).")
    var url: String?
    @Option(help: "A file whose first line is the password.", completion: .file())
    var passwordFile: String?
    @Option(
        help: "A settings file (default: ~/.config/tokenpool/config.yaml).", completion: .file(extensions: ["yaml"]))
    var config: String?
    @Option(name: .customLong("cacert"), help: "A file of certificates that may sign the server's (PEM).")
    var certificateAuthority: String?
    @Flag(help: "Do not verify the server's certificate. For this server only.")
    var insecure = false
    @Flag(help: "Say what happens (twice: every request).")
    var verbose: Int

    /// The dispatcher knows which database it serves.
    var database: String? { nil }

    var logger: Logger {
        var logger = Logger(label: CalledAs.now.rawValue) { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = verbose > 1 ? .trace : verbose == 1 ? .info : .warning
        return logger
    }
}
