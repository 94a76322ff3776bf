import Foundation
import Synchronization
import TestSupport

/// Starts programs and waits for them.
enum Program {
    struct Failure: Error, CustomStringConvertible { let description: String }

    struct Result: Sendable {
        let status: Int32
        let output: String
        let errors: String
        var lines: [String] { output.split(separator: "\n").map(String.init) }
    }

    /// A program of this package, which lies beside the tests.
    static func built(_ name: String) throws -> String {
        let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let arguments = CommandLine.arguments.map { URL(fileURLWithPath: $0).deletingLastPathComponent() }
        for folder in [tests, tests.deletingLastPathComponent()] + arguments {
            let path = folder.appendingPathComponent(name).path
            if FileManager.default.isExecutableFile(atPath: path) { return path }
        }
        throw Failure(description: "\(name) is not built: run `swift build` first")
    }

    /// Runs a program to its end; beyond the time limit it is killed and that is an error.
    static func run(
        _ path: String, _ arguments: [String], environment: [String: String], folder: String, input: String = "",
        timeLimit: Duration = .seconds(120)
    ) async throws -> Result {
        let running = try start(path, arguments, environment: environment, folder: folder, input: input)
        return try await running.end(within: timeLimit)
    }

    static func start(
        _ path: String, _ arguments: [String], environment: [String: String], folder: String, input: String = ""
    ) throws -> RunningProgram {
        try RunningProgram(path, arguments, environment: environment, folder: folder, input: input)
    }
}

/// A program that was started; what it says goes to files, so that nothing waits for a reader.
final class RunningProgram: Sendable {
    let pid: pid_t
    private let name: String
    private let base: String
    private let ending: Ending

    /// The exit status, once there is one, and who waits for it.
    private final class Ending: Sendable {
        /// Protects the status and the waiting.
        private let state = Mutex<(status: Int32?, waiting: [CheckedContinuation<Int32, Never>])>((nil, []))

        func finish(_ status: Int32) {
            let waiting = state.withLock { state in
                state.status = status
                defer { state.waiting = [] }
                return state.waiting
            }
            for continuation in waiting { continuation.resume(returning: status) }
        }

        var status: Int32? { state.withLock(\.status) }

        func wait() async -> Int32 {
            await withCheckedContinuation { continuation in
                let status = state.withLock { state -> Int32? in
                    if state.status == nil { state.waiting.append(continuation) }
                    return state.status
                }
                if let status { continuation.resume(returning: status) }
            }
        }
    }

    fileprivate init(
        _ path: String, _ arguments: [String], environment: [String: String], folder: String, input: String
    )
        throws
    {
        name = ([(path as NSString).lastPathComponent] + arguments).joined(separator: " ")
        base = "\(folder)/.program-\(UUID().uuidString)"
        try Data(input.utf8).write(to: URL(fileURLWithPath: base + ".in"))
        for end in [".out", ".err"] { try Data().write(to: URL(fileURLWithPath: base + end)) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.environment = environment
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        process.standardInput = FileHandle(forReadingAtPath: base + ".in")
        process.standardOutput = FileHandle(forWritingAtPath: base + ".out")
        process.standardError = FileHandle(forWritingAtPath: base + ".err")
        let ending = Ending()
        self.ending = ending
        process.terminationHandler = { process in
            let died = process.terminationReason == .uncaughtSignal
            ending.finish(died ? 128 + process.terminationStatus : process.terminationStatus)
        }
        try withoutBlockedSignals { try process.run() }
        pid = process.processIdentifier
    }

    /// What it said on stdout so far.
    var output: String { text(".out") }
    /// What it said on stderr so far.
    var errors: String { text(".err") }

    private func text(_ end: String) -> String {
        String(decoding: FileManager.default.contents(atPath: base + end) ?? Data(), as: UTF8.self)
    }

    var hasEnded: Bool { ending.status != nil }

    /// Sends a signal unless it has ended.
    func signal(_ number: Int32) { if !hasEnded { kill(pid, number) } }

    /// Waits for the end. 128 + n stands for a death by signal n.
    func end(within limit: Duration = .seconds(60)) async throws -> Program.Result {
        let isLate = Mutex(false)
        let alarm = Task {
            try await Task.sleep(for: limit)
            isLate.withLock { $0 = true }
            signal(SIGKILL)
        }
        let status = await ending.wait()
        alarm.cancel()
        let result = Program.Result(status: status, output: text(".out"), errors: text(".err"))
        if isLate.withLock({ $0 }) {
            throw Program.Failure(description: "\(name) did not end within \(limit): \(result.errors.suffix(2000))")
        }
        return result
    }
}
