import FoundationEssentials
import Glibc

/// A program that an actor runs: PiCaS' `execute`, with its output in files while it runs and bounded in the end.
///
/// When the task is cancelled (the time is up, the lease is lost, the run ends) the program is ended with all that it
/// started: TERM to its process group, KILL after the grace. `run` returns only when it has ended, so nothing of a token
/// that is handed back runs on.
///
/// ```swift
/// func process(_ token: inout Token) async throws {
///     let outcome = try await Execution(["./process_task.sh", token.id], folder: folder).run()
///     token.exitCode = .integer(outcome.exitCode)
///     token.attach(outcome.output, as: token.logName("out"))
/// }
/// ```
public struct Execution: Sendable {
    /// How a program ended, and what it said.
    public struct Outcome: Hashable, Sendable {
        /// The exit code; the negative number of the signal that ended it.
        public let exitCode: Int
        /// Its standard output; of a long one head and tail.
        public let output: [UInt8]
        /// Its standard error; of a long one head and tail.
        public let errors: [UInt8]
    }

    /// The program, looked up in `PATH` when it has no slash, and its arguments.
    public var arguments: [String]
    /// Its environment.
    public var environment: [String: String]
    /// The folder that it starts in; its output lies there as hidden files until it ends.
    public var folder: String
    /// How many bytes of each stream are kept.
    public var logLimit = 4 << 20
    /// The time between TERM and KILL.
    public var grace = Duration.seconds(10)

    /// A program with its arguments.
    public init(
        _ arguments: [String], environment: [String: String] = ProcessInfo.processInfo.environment, folder: String
    ) {
        self.arguments = arguments
        self.environment = environment
        self.folder = folder
    }

    /// A line for the shell, as the inputs of PiCaS' quick example are.
    public static func shell(
        _ line: String, environment: [String: String] = ProcessInfo.processInfo.environment, folder: String
    ) -> Execution {
        Execution(["/bin/sh", "-c", line], environment: environment, folder: folder)
    }

    /// Runs it to its end.
    ///
    /// - Throws: `CancellationError` when the task was cancelled; what kept it from starting.
    public func run() async throws -> Outcome {
        let process = ChildProcess()
        let threads = BlockingThreads()
        return try await withTaskCancellationHandler {
            let outcome = try await threads.run { try execute(process) }
            try Task.checkCancellation()
            return outcome
        } onCancel: {
            process.signal(SIGTERM)
            let grace = grace
            Task {
                try await Task.sleep(for: grace)
                process.signal(SIGKILL)
            }
        }
    }

    private func execute(_ process: ChildProcess) throws -> Outcome {
        let base = folder + "/.execution-" + String(UInt64.random(in: .min ... .max), radix: 36)
        defer { for end in [".out", ".err"] { unlink(base + end) } }
        let output = try CapturedLog(path: base + ".out", limit: logLimit)
        defer { output.close() }
        let errors = try CapturedLog(path: base + ".err", limit: logLimit)
        defer { errors.close() }
        let exit = try process.run(
            ChildSpec(
                arguments: arguments, environment: environment.map { "\($0.key)=\($0.value)" }, folder: folder,
                output: output.descriptor, errors: errors.descriptor))
        return Outcome(exitCode: exit.code, output: try output.kept(), errors: try errors.kept())
    }
}
