import CouchDocument
import Foundation
import TestSupport
import Testing
import TokenPool
import TokenPoolWorker

@Suite("Programs that an actor runs", .timeLimit(.minutes(2)))
struct ExecutionTests {
    private func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/tokenpool-execution-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(folder)
    }

    private func isRunning(_ pid: String) -> Bool {
        let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
        return stat.map { !$0.contains(") Z") } ?? false
    }

    @Test("tell exit code and both streams, bounded, and leave no files")
    func outcome() async throws {
        try await withFolder { folder in
            var outcome = try await Execution(["sh", "-c", "echo out; echo err >&2; exit 3"], folder: folder).run()
            #expect(outcome.exitCode == 3)
            #expect(String(decoding: outcome.output, as: UTF8.self) == "out\n")
            #expect(String(decoding: outcome.errors, as: UTF8.self) == "err\n")
            var long = Execution.shell("head -c 5000000 /dev/zero", folder: folder)
            long.logLimit = 1000
            outcome = try await long.run()
            #expect(outcome.exitCode == 0 && outcome.output.count < 1100)
            #expect(try await Execution.shell("kill -9 $$", folder: folder).run().exitCode == -9)
            await #expect(throws: (any Error).self) { try await Execution(["/no/such"], folder: folder).run() }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
        }
    }

    @Test("a time limit of the actor's run ends a program with all that it started, before the token is written")
    func timeLimit() async throws {
        try await PilotFixture.with { fixture in
            struct Slow: TokenActor {
                let folder: String
                func process(_ token: inout Token) async throws {
                    var program = Execution.shell(
                        "(trap '' TERM; sh -c 'echo $$ > cache; exec sleep 300') & wait", folder: folder)
                    program.grace = .milliseconds(200)
                    _ = try await program.run()
                }
            }
            try await fixture.add("slow")
            var limits = ActorLimits()
            limits.tokenTime = .milliseconds(500)
            let worker = WorkerIdentity(name: "w", hostname: "h")
            let run = ActorRun(pool: fixture.pool, worker: worker, limits: limits)
            #expect(try await run.run(Slow(folder: fixture.folder)) == 1)
            let token = try await fixture.pool.token("slow")
            #expect(token.state == .error && token.pool.history.last?.outcome == .timeLimit)
            let pid = try String(contentsOfFile: fixture.folder + "/cache", encoding: .utf8)
            #expect(!isRunning(pid.trimmingCharacters(in: .newlines)))
        }
    }

    @Test("a run that is stopped hands its token back only when the program has ended")
    func cancelled() async throws {
        try await PilotFixture.with { fixture in
            struct Careful: TokenActor {
                let folder: String
                func process(_ token: inout Token) async throws {
                    let line =
                        "trap 'echo ended > cache-ended; exit 0' TERM; : > cache-begun; while :; do sleep 0.02; done"
                    _ = try await Execution.shell(line, folder: folder).run()
                }
            }
            try await fixture.add("a")
            let worker = WorkerIdentity(name: "w", hostname: "h")
            let run = ActorRun(pool: fixture.pool, worker: worker)
            let work = Task { try await run.run(Careful(folder: fixture.folder)) }
            while !FileManager.default.fileExists(atPath: fixture.folder + "/cache-begun") { await Task.yield() }
            work.cancel()
            _ = try await work.value
            let token = try await fixture.pool.token("a")
            #expect(token.state == .todo && token.scrubCount == 1 && token.pool.attempts == 0)
            #expect(FileManager.default.fileExists(atPath: fixture.folder + "/cache-ended"))
        }
    }
}
