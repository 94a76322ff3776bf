import Foundation
import Synchronization

/// Why a test's server does not run.
public struct TestServerError: Error, CustomStringConvertible {
    /// One line for people.
    public let description: String
}

/// One `tokenpoold` process after another over one folder.
///
/// A shell stands between: it kills the server when its standard input closes, which happens also when the test process
/// dies without a chance to clean up. It takes all of its own children with it, for Foundation sees the end of a process
/// only when nobody holds what that process inherited any more.
final class ServerProcess: Sendable {
    static let admin = "admin"
    static let password = "secret"
    private static let supervisor = """
        exec 3<&0
        "$0" "$@" </dev/null 3<&- &
        pid=$!
        exec 2>/dev/null
        echo "pid $pid"
        ( while read -r line; do :; done <&3; kill -9 $pid 2>/dev/null ) >/dev/null 2>&1 &
        leash=$!
        wait $pid 2>/dev/null
        status=$?
        kill -9 $leash
        exit $status
        """

    private struct Running {
        let shell: AudibleProcess
        let pid: pid_t
    }
    private struct State {
        var running: Running?
        var port = 0
    }
    /// Protects which process runs.
    private let state = Mutex(State())
    let folder: String
    private let arguments: [String]

    init(arguments: [String]) throws {
        self.arguments = arguments
        let url = FileManager.default.temporaryDirectory.appending(path: "tokenpool-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        folder = url.path
        try Data((Self.password + "\n").utf8).write(to: url.appending(path: "password"))
    }

    deinit {
        let running = state.withLock(\.running)
        if let running { Foundation.kill(running.pid, SIGKILL) }
        try? FileManager.default.removeItem(atPath: folder)
    }

    var port: Int { state.withLock(\.port) }

    var processID: pid_t? { state.withLock(\.running)?.pid }

    var residentBytes: Int {
        get throws {
            guard let running = state.withLock(\.running) else {
                throw TestServerError(description: "the server does not run")
            }
            let fields = try String(contentsOfFile: "/proc/\(running.pid)/statm", encoding: .utf8).split(separator: " ")
            return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
        }
    }

    /// The built program, which lies beside the tests.
    private static func program() throws -> String {
        let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let candidates =
            [tests.deletingLastPathComponent(), tests.deletingLastPathComponent().deletingLastPathComponent()]
            + CommandLine.arguments.prefix(1).map { URL(fileURLWithPath: $0).deletingLastPathComponent() }
        for folder in candidates {
            let path = folder.appending(path: "tokenpoold").path
            if FileManager.default.isExecutableFile(atPath: path) { return path }
        }
        throw TestServerError(description: "tokenpoold is not built: run `swift build` first")
    }

    /// Starts the server and waits for its ready line; answers the port.
    func launch(port: Int) async throws -> Int {
        let shell = try AudibleProcess(
            "/bin/sh",
            [
                "-c", Self.supervisor, try Self.program(), "--data", folder + "/data", "--port", String(port),
                "--admin", Self.admin, "--admin-password-file", folder + "/password",
                // Tests say themselves when somebody tidies up; --janitor in `arguments` overrides it.
                "--no-janitor",
            ] + arguments, listeningTo: .output)
        let lines = await Self.greeting(shell.output)
        guard let pid = lines.pid, let ready = lines.port else {
            throw TestServerError(description: "tokenpoold did not start (exit status \(await shell.end()))")
        }
        state.withLock {
            $0.running = Running(shell: shell, pid: pid)
            $0.port = ready
        }
        return ready
    }

    /// The pid that the shell says and the port that the server says; either is missing when the output ends before.
    private static func greeting(_ output: FileHandle) async -> (pid: pid_t?, port: Int?) {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                var text = ""
                var pid: pid_t?
                var port: Int?
                while pid == nil || port == nil {
                    let data = output.availableData
                    if data.isEmpty { break }
                    text += String(decoding: data, as: UTF8.self)
                    for line in text.split(separator: "\n") {
                        if line.hasPrefix("pid ") { pid = pid_t(line.dropFirst(4)) }
                        if line.hasPrefix("ready "), text.hasSuffix("\n") {
                            port = line.split(separator: ":").last.flatMap { Int($0) }
                        }
                    }
                }
                continuation.resume(returning: (pid, port))
            }
        }
    }

    /// Sends the signal, waits for the end and answers the exit status.
    func end(_ signal: Int32) async throws -> Int32 {
        let running = state.withLock { state in
            defer { state.running = nil }
            return state.running
        }
        guard let running else { throw TestServerError(description: "the server does not run") }
        Foundation.kill(running.pid, signal)
        return await running.shell.end()
    }

    /// Runs the program to its end.
    static func run(_ arguments: [String]) async throws -> (status: Int32, text: String) {
        let process = try AudibleProcess(try program(), arguments, listeningTo: .errors)
        let text = await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let data = process.output.readDataToEndOfFile()
                continuation.resume(returning: String(decoding: data, as: UTF8.self))
            }
        }
        return (await process.end(), text)
    }
}
