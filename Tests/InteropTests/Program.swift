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
    private let name: String
    private let base: String
    private let process: ChildProcess

    fileprivate init(
        _ path: String, _ arguments: [String], environment: [String: String], folder: String, input: String
    )
        throws
    {
        name = ([(path as NSString).lastPathComponent] + arguments).joined(separator: " ")
        base = "\(folder)/.program-\(UUID().uuidString)"
        try Data(input.utf8).write(to: URL(fileURLWithPath: base + ".in"))
        let streams = [
            open(base + ".in", O_RDONLY | O_CLOEXEC), open(base + ".out", O_WRONLY | O_CREAT | O_CLOEXEC, 0o644),
            open(base + ".err", O_WRONLY | O_CREAT | O_CLOEXEC, 0o644),
        ]
        defer { for stream in streams where stream >= 0 { close(stream) } }
        guard streams.allSatisfy({ $0 >= 0 }) else {
            throw Program.Failure(description: "no files for \(name) in \(folder): \(String(cString: strerror(errno)))")
        }
        process = try ChildProcess(
            path, arguments, environment: environment, folder: folder, input: streams[0], output: streams[1],
            errors: streams[2])
    }

    var pid: pid_t { process.pid }
    /// What it said on stdout so far.
    var output: String { text(".out") }
    /// What it said on stderr so far.
    var errors: String { text(".err") }

    private func text(_ end: String) -> String {
        String(decoding: FileManager.default.contents(atPath: base + end) ?? Data(), as: UTF8.self)
    }

    var hasEnded: Bool { process.hasEnded }

    /// Sends a signal unless it has ended.
    func signal(_ number: Int32) { process.signal(number) }

    /// Waits for the end. 128 + n stands for a death by signal n.
    func end(within limit: Duration = .seconds(60)) async throws -> Program.Result {
        let isLate = Mutex(false)
        let alarm = Task {
            try await Task.sleep(for: limit)
            isLate.withLock { $0 = true }
            signal(SIGKILL)
        }
        let status = await process.end()
        alarm.cancel()
        let result = Program.Result(status: status, output: text(".out"), errors: text(".err"))
        if isLate.withLock({ $0 }) {
            throw Program.Failure(description: "\(name) did not end within \(limit): \(result.errors.suffix(2000))")
        }
        return result
    }
}
