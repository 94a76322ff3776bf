import ArgumentParser
import CouchDB
import CouchDocument

/// `tokenpool`: parse, call one function, print.
@main
struct TokenPoolCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenpool",
        abstract: "A pool of work in CouchDB: create sets of tokens, work them anywhere, watch and collect.",
        discussion: """
            Settings come from the flag, then the environment (TOKENPOOL_URL, TOKENPOOL_DATABASE, \
            TOKENPOOL_PASSWORD_FILE), then --config or ~/.config/tokenpool/config.yaml, then PiCaS' \
            ~/.config/picas/conf.yml and ~/.picasrc.

            Exit codes: 0 success, 1 the answer is no, 2 usage, 3 could not reach the server, 4 not allowed.
            """,
        version: ProductVersion.text,
        subcommands: [
            InitCommand.self, ConfigCommand.self, LoginCommand.self, DoctorCommand.self, VersionCommand.self,
            SetCommand.self, TokenCommand.self, WorkCommand.self, WorkerCommand.self, JanitorCommand.self,
            ProjectCommand.self, FileCommand.self, RSECommand.self,
            PoolCommand.self, CatalogCommand.self, UsersCommand.self, SecurityCommand.self, ViewsCommand.self,
            SandboxCommand.self,
            BenchCommand.self,
        ])

    /// Runs the command line and ends the process with an exit code of DESIGN §9 instead of the parser's own.
    static func main() async {
        do {
            var command: any ParsableCommand
            switch CalledAs.now {
            case .tokenpool: command = try parseAsRoot()
            case .ddisp:
                let arguments = Array(CommandLine.arguments.dropFirst())
                command = try DdispCommand.parseAsRoot(DdispCommand.takeAddresses(arguments))
            }
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            ExitStatus.leave(with: error)
        }
    }
}
