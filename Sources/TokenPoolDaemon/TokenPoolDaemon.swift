import ArgumentParser
import CouchServer
import CouchStore
import Logging

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// `tokenpoold`: the document store of a pool, served over CouchDB's HTTP API.
@main
struct TokenPoolDaemon: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenpoold",
        abstract: "Serves a pool's documents over CouchDB's HTTP API.",
        discussion: """
            Prints one line, "ready http://ADDRESS:PORT", to standard output when it serves; everything else goes to \
            standard error. SIGTERM and SIGINT end it: running requests are finished first.
            """,
        version: "tokenpoold \(CouchService.productVersion) (CouchDB \(CouchService.couchVersion) API)",
        subcommands: [BackupCommand.self, CheckCommand.self])

    @Option(name: .customLong("data"), help: "The folder of databases, made when missing.")
    var folder = "./tokenpool-data"

    @Option(help: "The address to listen on. Beyond loopback only with --admin-password-file.")
    var bind = "127.0.0.1"

    @Option(help: "The port; 0 takes any free one, see the ready line.")
    var port = 5984

    @Option(
        help: ArgumentHelp(
            "The server's certificate, PEM, with those between it and an authority: serve over TLS.",
            discussion: "Read again on SIGHUP and when it changes.", valueName: "file"))
    var tlsCertificate: String?

    @Option(help: ArgumentHelp("The private key of --tls-certificate, PEM.", valueName: "file"))
    var tlsKey: String?

    @Option(
        help: ArgumentHelp(
            "The authorities whose certificates let people sign in at the dispatcher: a PEM file or a folder.",
            discussion: "A folder such as /etc/grid-security/certificates, with revocation lists.",
            valueName: "file|folder"))
    var tlsClientCa: String?

    @Option(help: "The server admin's name.")
    var admin = "admin"

    @Option(
        help: ArgumentHelp(
            "A file whose first line is the admin's password.",
            discussion: "Default: DATA/admin-password, made with a random password at the first start."))
    var adminPasswordFile: String?

    @Flag(
        inversion: .prefixedNo,
        help: "Keep the pools in the store in order: lapsed leases, tokens that are due, what was left half done.")
    var janitor = true

    @Option(
        help: ArgumentHelp(
            "embedded, or the URL of a CouchDB server whose pools to serve instead: http://ADMIN@HOST:5984.",
            discussion: "With a URL only the gateway and the janitor run here, and nothing is stored."))
    var store = "embedded"

    @Option(help: "A file whose first line is the password for --store.")
    var storePasswordFile: String?

    @Flag(
        inversion: .prefixedNo,
        help: "Serve the dispatcher for Data Dispatcher's clients at /_pool/dd/data and /_pool/dd/auth.")
    var gateway = true

    @Option(help: "The database of the pool whose projects the dispatcher serves.")
    var dispatcherDatabase = "tokenpool"

    @Flag(help: "Show projects and storage elements only to those who signed in.")
    var dispatcherPrivate = false

    @Option(help: "A YAML file: who may sign in at the dispatcher and how, and who knows where files are.")
    var dispatcherConfig: String?

    @Option(name: .customLong("ready-fd"), help: "Also write the ready line to this open file descriptor.")
    var readyDescriptor: Int32?

    @Option(help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel = Logger.Level.notice

    func validate() throws {
        guard (0...65535).contains(port) else { throw ValidationError("--port \(port): give 0 to 65535") }
        guard store == "embedded" || gateway else {
            throw ValidationError("--store \(store) --no-gateway: there would be nothing to serve")
        }
        guard !admin.isEmpty, !admin.contains(":") else {
            throw ValidationError("--admin \(admin): a name is not empty and has no colon")
        }
        guard (tlsCertificate == nil) == (tlsKey == nil) else {
            throw ValidationError("--tls-certificate and --tls-key: give both or none")
        }
        guard tlsClientCa == nil || tlsCertificate != nil else {
            throw ValidationError("--tls-client-ca: clients show certificates over TLS only: give --tls-certificate")
        }
        if let readyDescriptor, fcntl(readyDescriptor, F_GETFD) < 0 {
            throw ValidationError("--ready-fd \(readyDescriptor): no such file descriptor is open")
        }
    }

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        // A limit on the size of files is told by the write that meets it.
        signal(SIGXFSZ, SIG_IGN)
        let level = logLevel
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
        do {
            let dispatcher = try dispatcherConfig.map(DispatcherConfiguration.init(file:)) ?? DispatcherConfiguration()
            try await Daemon(options: self, dispatcher: dispatcher).run()
        } catch let fault as ConfigurationFault {
            say(fault.description)
            throw ExitCode(2)
        } catch let refusal as StartRefusal {
            say(refusal.reason)
            throw ExitCode(3)
        }
    }

    /// Usage errors are 2, as everywhere in tokenpool.
    static func main() async {
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand { try await command.run() } else { try command.run() }
        } catch {
            let code = exitCode(for: error)
            if code == .validationFailure {
                put(fullMessage(for: error) + "\n", on: STDERR_FILENO)
                _exit(2)
            }
            exit(withError: error)
        }
    }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}
