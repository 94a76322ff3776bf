import Foundation
import Testing

@testable import TokenPoolWorker

@Suite("Processes")
struct ChildProcessTests {
    /// Runs a shell line in a folder of its own and answers the exit code and what it wrote.
    private func run(
        _ line: String, limit: Int = 1 << 20, process: ChildProcess = ChildProcess()
    ) async throws -> (code: Int, output: String, folder: String) {
        let folder = FileManager.default.temporaryDirectory.path + "/tokenpool-child-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let threads = BlockingThreads()
        return try await threads.run {
            let log = try CapturedLog(path: folder + ".out", limit: limit)
            defer { log.close() }
            let exit = try process.run(
                ChildSpec(
                    arguments: ["/bin/sh", "-c", line], environment: ["PATH=/usr/bin:/bin"], folder: folder,
                    output: log.descriptor, errors: log.descriptor))
            return (exit.code, String(decoding: try log.kept(), as: UTF8.self), folder)
        }
    }

    @Test("tell their exit code, and the signal that ended them as a negative one")
    func codes() async throws {
        #expect(try await run("exit 7").code == 7)
        #expect(try await run("kill -9 $$").code == -9)
        #expect(try await run("pwd; echo oops >&2").output.hasSuffix("oops\n"))
    }

    @Test("that can not be started say why, with the shell's exit codes")
    func missing() async throws {
        let process = ChildProcess()
        let spec = ChildSpec(arguments: ["/no/such/program"], environment: [], folder: "/", output: 1, errors: 2)
        #expect(throws: SpawnError.self) { try process.run(spec) }
        do {
            _ = try ChildProcess().run(spec)
        } catch {
            #expect(error.exitCode == 127)
            #expect("\(error)".contains("/no/such/program"))
        }
    }

    @Test("are ended with all they started, in other process groups too")
    func groups() async throws {
        let process = ChildProcess()
        let marker = FileManager.default.temporaryDirectory.path + "/tokenpool-marker-\(UUID().uuidString)"
        async let result = run(
            "set -m; (echo $$ > \(marker).a; exec sleep 300) & sh -c 'sleep 301 & echo $! > \(marker).b; wait' & wait",
            process: process)
        let pids = try await waitForFiles([marker + ".a", marker + ".b"])
        process.signal(SIGTERM)
        process.signal(SIGKILL)
        #expect(try await result.code < 0)
        for pid in pids { #expect(await ends(pid), "process \(pid) still runs") }
    }

    @Test("do not outlive the command that left them in the background")
    func leftovers() async throws {
        let result = try await run("sleep 300 & echo $!")
        let pid = try #require(pid_t(result.output.trimmingCharacters(in: .whitespacesAndNewlines)))
        #expect(await ends(pid))
    }

    @Test("signalled before their start they do not run")
    func early() async throws {
        let process = ChildProcess()
        process.signal(SIGTERM)
        let result = try await run("echo ran", process: process)
        #expect(result.code < 0)
        #expect(result.output.isEmpty)
    }

    @Test("logs beyond the limit keep head and tail and say how much is missing")
    func longLog() async throws {
        let result = try await run("echo first; head -c 5000000 /dev/zero | tr '\\0' x; echo; echo last", limit: 1000)
        #expect(result.output.hasPrefix("first\n"))
        #expect(result.output.hasSuffix("\nlast\n"))
        #expect(result.output.contains("[4999012 of 5000012 bytes cut here]"))
    }

    /// The numbers in these files, once each holds one.
    private func waitForFiles(_ paths: [String]) async throws -> [pid_t] {
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end {
            let numbers = paths.compactMap { path in
                (try? String(contentsOfFile: path, encoding: .utf8)).flatMap {
                    pid_t($0.trimmingCharacters(in: .whitespacesAndNewlines))
                }
            }
            if numbers.count == paths.count { return numbers }
            await Task.yield()
        }
        throw CocoaError(.fileNoSuchFile)
    }

    /// Whether a process that was killed is gone before long.
    private func ends(_ pid: pid_t) async -> Bool {
        let end = ContinuousClock.now + .seconds(10)
        while isRunning(pid) && ContinuousClock.now < end { await Task.yield() }
        return !isRunning(pid)
    }

    /// Whether a process exists that is no zombie.
    private func isRunning(_ pid: pid_t) -> Bool {
        guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let end = stat.lastIndex(of: ")")
        else { return false }
        return !stat[end...].hasPrefix(") Z")
    }
}
