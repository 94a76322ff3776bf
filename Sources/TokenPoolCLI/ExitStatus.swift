import ArgumentParser
import CouchDB
import DispatcherClient
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
        case let failure as DispatcherError: leave(with: ExitStatus(failure), saying: "\(failure)\(advice(failure))")
        case let failure as ProjectPilotError: leave(with: ExitStatus(failure), saying: "\(failure)")
        case let failure as SignInError: leave(with: .no, saying: "\(failure)")
        case let failure as PoolError: leave(with: failure.code == .badInput ? .usage : .no, saying: "\(failure)")
        default: break
        }
        let root: any ParsableCommand.Type =
            switch CalledAs.now {
            case .tokenpool: TokenPoolCommand.self
            case .ddisp: DdispCommand.self
            }
        let code = root.exitCode(for: error)
        let text = root.fullMessage(for: error)
        if code == .success {
            FileHandle.standardOutput.write(Data((text.isEmpty ? "" : text + "\n").utf8))
            exit(success.rawValue)
        }
        // The parser's own errors (a flag it does not know) are usage; any other error says why the answer is no.
        let isUsage = code == .validationFailure
        if !text.isEmpty {
            var line = isUsage ? text : "tokenpool: " + text.replacing("Error: ", with: "", maxReplacements: 1)
            if CalledAs.now == .ddisp { line = oneLine(text) }
            FileHandle.standardError.write(Data((line + "\n").utf8))
        }
        exit(isUsage ? usage.rawValue : no.rawValue)
    }

    /// What the parser has to say, without the usage between the error and where to read more.
    private static func oneLine(_ text: String) -> String {
        let lines = text.split(separator: "\n").map(String.init)
        let said = lines.prefix { !$0.hasPrefix("Help:") && !$0.hasPrefix("Usage:") && !$0.hasPrefix("  See '") }
        // Values that are possible stand below each other.
        let choices = said.filter { $0.hasPrefix("  - ") }.map { $0.dropFirst(4).prefix { $0 != " " } }
        let words = said.filter { !$0.hasPrefix("  - ") }.joined(separator: " ")
        let error =
            words.replacing("Error: ", with: "", maxReplacements: 1)
            + (choices.isEmpty ? "" : " " + choices.joined(separator: ", "))
        guard let more = lines.last(where: { $0.hasPrefix("  See '") }) else { return error }
        return error + "; see " + more.dropFirst("  See ".count).replacing(" for more information.", with: "")
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
        // Data Dispatcher's command says its lines without a name.
        let name = CalledAs.now == .ddisp ? "" : "tokenpool: "
        FileHandle.standardError.write(Data("\(name)\(Output.printable(text))\n".utf8))
        // Data Dispatcher's command knows 1 for whatever is no.
        let code = CalledAs.now == .ddisp && status != .usage ? ExitStatus.no : status
        exit(code.rawValue)
    }

    private static func advice(_ error: DispatcherError) -> String {
        switch error.code {
        case .unauthorized:
            switch CalledAs.now {
            case .ddisp: "; sign in: `ddisp login -m password USER`"
            case .tokenpool:
                "; sign in: `tokenpool login -m password USER`, or give --url http://USER@HOST and --password-file"
            }
        case .unreachable: "; check the address, or start tokenpoold"
        default: ""
        }
    }

    /// The code for why work on a project ended early.
    init(_ error: ProjectPilotError) {
        switch error.code {
        case .filesLeft: self = .unreachable
        case .noProject, .command: self = .no
        }
    }

    /// The code for what a dispatcher said, or that it said nothing.
    init(_ error: DispatcherError) {
        switch error.code {
        case .unreachable, .interrupted: self = .unreachable
        case .unauthorized, .forbidden: self = .notAllowed
        default: self = .no
        }
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
