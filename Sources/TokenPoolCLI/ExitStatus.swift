import ArgumentParser
import CouchDB
import Foundation
import TokenPool
import TokenPoolWorker

/// The exit codes of every command.
enum ExitStatus: Int32 {
    case success = 0
    /// The question was understood and answered: no. A set with tokens in error, a document that is not there.
    case no = 1
    case usage = 2
    case unreachable = 3
    case notAllowed = 4

    /// Prints what an error says to people and ends the process with the code that fits it.
    static func leave(with error: any Error) -> Never {
        switch error {
        case let status as ExitStatus: exit(status.rawValue)
        case let failure as CommandFailure: leave(with: failure.status, saying: "\(failure.message)")
        case let failure as CouchDBError: leave(with: ExitStatus(failure), saying: "\(failure)\(advice(failure))")
        case let left as TokensLeft:
            leave(with: (left.cause as? CouchDBError).map { ExitStatus($0) } ?? .unreachable, saying: "\(left)")
        case let failure as ConfigurationError: leave(with: .usage, saying: "\(failure)")
        case let failure as PoolError: leave(with: failure.code == .badInput ? .usage : .no, saying: "\(failure)")
        default: break
        }
        let code = TokenPoolCommand.exitCode(for: error)
        let text = TokenPoolCommand.fullMessage(for: error)
        if code == .success {
            FileHandle.standardOutput.write(Data((text.isEmpty ? "" : text + "\n").utf8))
            exit(success.rawValue)
        }
        // The parser's own errors (a flag it does not know) are usage; any other error says why the answer is no.
        let isUsage = code == .validationFailure
        if !text.isEmpty {
            let line = isUsage ? text : "tokenpool: " + text.replacing("Error: ", with: "", maxReplacements: 1)
            FileHandle.standardError.write(Data((line + "\n").utf8))
        }
        exit(isUsage ? usage.rawValue : no.rawValue)
    }

    /// What a person can do about it.
    private static func advice(_ error: CouchDBError) -> String {
        switch error.code {
        case .unauthorized:
            "; give a name and password: `tokenpool login`, or --url http://USER@HOST and --password-file"
        case .forbidden: "; ask the server's admin for access to this database, or sign in as somebody else"
        case .unreachable: "; check --url, or start tokenpoold"
        default: ""
        }
    }

    /// One line, whatever names stand in it.
    private static func leave(with status: ExitStatus, saying text: String) -> Never {
        FileHandle.standardError.write(Data("tokenpool: \(Output.printable(text))\n".utf8))
        exit(status.rawValue)
    }

    /// The code for what a server said, or that it said nothing.
    init(_ error: CouchDBError) {
        switch error.code {
        case .unreachable, .timedOut, .tls, .interrupted: self = .unreachable
        case .unauthorized, .forbidden: self = .notAllowed
        default: self = .no
        }
    }
}

extension ExitStatus: Error {}

/// A failure in words, with the exit code that goes with it.
struct CommandFailure: Error, CustomStringConvertible {
    /// One line: what was attempted, on what, what to do.
    let message: String
    var status = ExitStatus.no

    var description: String { message }
}
