import TokenPool

/// How a pilot works on the files of a project.
package struct ProjectPilotOptions: Sendable {
    /// The project's number.
    package var project: Int
    /// The name under which files are reserved. No other process may use it.
    package var worker: String
    /// Where this is, for the proximity map.
    package var site = "DEFAULT"
    /// How many files are processed at once.
    package var slots = 1
    /// What runs for each file: program and arguments, with `{templates}`.
    package var command: [String]
    /// The environment that commands inherit.
    package var environment: [String: String]
    /// Where commands start.
    package var folder: String
    /// Where the files that describe files lie while their commands run.
    package var scratch: String
    /// Where commands write: descriptors of the caller's.
    package var output: Int32 = 1
    package var errors: Int32 = 2
    /// Exit codes that mean that the file can not be processed, now or later.
    package var finalCodes: Set<Int> = [Self.dataError]
    /// A file that was tried so often fails for good; `nil`: only the project's own limit counts.
    package var maxAttempts: Int?
    /// A command that takes longer is ended, and its file tried again later.
    package var timeLimit: Duration?
    /// When no more files are taken; how many.
    package var condition = StopCondition()
    /// The time between TERM and KILL, and for a last word to a server that does not answer.
    package var grace = Duration.seconds(10)
    /// How long to keep trying while the server does not answer.
    package var patience = Duration.seconds(3600)

    /// `EX_DATAERR` of `sysexits.h`: the input is at fault.
    package static let dataError = 65

    package init(
        project: Int, worker: String, command: [String], environment: [String: String], folder: String, scratch: String
    ) {
        self.project = project
        self.worker = worker
        self.command = command
        self.environment = environment
        self.folder = folder
        self.scratch = scratch
    }
}

/// What becomes known of a file in the hands of a pilot.
package enum ProjectNews: Sendable {
    case started(did: String, attempt: Int)
    case ended(did: String, FileOutcome, exitCode: Int?, time: Duration)
    /// Something went wrong that the pilot goes on after.
    case trouble(String)
}

/// How a try of a file ended.
package enum FileOutcome: String, CaseIterable, Sendable {
    case done
    /// It is tried again later.
    case retry
    /// For good.
    case failed
    /// Given back because the pilot was told to end.
    case returned
    /// It was somebody else's by then: its time was over, or somebody took it back.
    case lost
}

/// Why a pilot ended early: one line.
package struct ProjectPilotError: Error, CustomStringConvertible {
    package enum Code: Sendable {
        /// There is no such project.
        case noProject
        /// The command can not be run.
        case command
        /// Files stay reserved until their time is over.
        case filesLeft
    }

    package let code: Code
    package let description: String
}
