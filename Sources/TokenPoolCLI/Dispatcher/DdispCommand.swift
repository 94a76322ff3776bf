import ArgumentParser
import CouchDocument
import Foundation

/// `ddisp`: Data Dispatcher's command, as its documentation tells it.
struct DdispCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ddisp", abstract: "Projects of files: Data Dispatcher's commands.",
        usage: "ddisp [-s <server URL>] [-a <auth server URL>] <command> <subcommand> <options> <args>",
        discussion: """
            The server's address is in DATA_DISPATCHER_URL or given with -s, the authentication server's in \
            DATA_DISPATCHER_AUTH_URL or given with -a; METACAT_SERVER_URL is for queries.

            Exit codes: 0 success, 1 the answer is no, 2 usage.
            """,
        version: ProductVersion.text,
        subcommands: [
            LoginCommand.self, VersionCommand.self, ProjectCommand.self, FileCommand.self, WorkerCommand.self,
            RSECommand.self,
        ])

    /// Takes the addresses off the front of a command line, and puts them where everybody looks for them.
    static func takeAddresses(_ arguments: [String]) throws -> [String] {
        var rest = arguments[...]
        while let option = rest.first,
            let variable = ["-s": "DATA_DISPATCHER_URL", "-a": "DATA_DISPATCHER_AUTH_URL"][option]
        {
            guard rest.count > 1, let url = rest.dropFirst().first else {
                throw CommandFailure(message: "\(option) wants a URL", status: .usage)
            }
            setenv(variable, url, 1)
            rest = rest.dropFirst(2)
        }
        return Array(rest)
    }
}
