import CouchDB
import CouchDocument
import Synchronization
import TestSupport
import Testing
import TokenPool

@Suite("A program's own work on tokens, as PiCaS has it", .timeLimit(.minutes(2)))
struct ActorTests {
    /// Squares its input, and notes which hooks were called.
    private final class Squares: TokenActor {
        // Protects the notes; hooks are called from different tasks, one after the other.
        let notes = Mutex<[String]>([])
        let work: @Sendable (inout Token) async throws -> Void

        init(_ work: @escaping @Sendable (inout Token) async throws -> Void) { self.work = work }

        private func note(_ text: String) { notes.withLock { $0.append(text) } }

        func prepareEnvironment() async throws { note("prepare") }
        func prepareRun(_ token: Token) async throws { note("begin \(token.id)") }
        func process(_ token: inout Token) async throws { try await work(&token) }
        func cleanUpRun(_ token: Token) async { note("end \(token.id)") }
        func cleanUpEnvironment() async { note("clean up") }
    }

    private func withRealTime(_ body: (Pool) async throws -> Void) async throws {
        try await withPool { pool, _ in try await body(Pool(database: pool.database)) }
    }

    @Test("its hooks are called in order, what it changes is written, and the pool is drained")
    func drains() async throws {
        try await withRealTime { pool in
            try await pool.add(["a", "b"]) { $0.input = .integer($0.id == "a" ? 3 : 4) }
            let actor = Squares { token in
                let number = token.input.intValue ?? 0
                token.output = ["square": .integer(number * number)]
                token["seen"] = true
                token.attach(.init(name: "note.txt", contentType: "text/plain", bytes: Array("ok".utf8)))
            }
            let run = ActorRun(
                pool: pool, source: ClaimSource(view: .picasTodo, order: .asViewed), worker: worker("w"))
            #expect(try await run.run(actor) == 2)
            #expect(
                actor.notes.withLock { $0 } == ["prepare", "begin a", "end a", "begin b", "end b", "clean up"])
            let token = try await pool.token("b")
            #expect(token.state == .done && token.exitCode == 0)
            #expect(token.output == ["square": 16] && token["seen"] == true)
            #expect(token.document.attachment("note.txt")?.length == 2)
        }
    }

    @Test("what it throws stands in the token; it is put back as often as max_scrub says")
    func throwing() async throws {
        try await withRealTime { pool in
            try await pool.add(["a"])
            struct Broken: Error, CustomStringConvertible { let description = "the disk is full" }
            var limits = ActorLimits()
            limits.scrubs = 2
            let actor = Squares { _ in throw Broken() }
            #expect(try await ActorRun(pool: pool, worker: worker("w"), limits: limits).run(actor) == 3)
            let token = try await pool.token("a")
            #expect(token.state == .error && token.scrubCount == 2)
            #expect(token.errors.map { $0["message"] } == ["the disk is full", "the disk is full", "the disk is full"])
        }
    }

    @Test("a time limit stops the work, and limits of tokens and a stop function end the run")
    func limits() async throws {
        try await withRealTime { pool in
            try await pool.add(["a", "b", "c", "d"])
            var limits = ActorLimits()
            limits.tokenTime = .milliseconds(50)
            limits.tokens = 1
            let slow = Squares { _ in try await Task.sleep(for: .seconds(300)) }
            #expect(try await ActorRun(pool: pool, worker: worker("w"), limits: limits).run(slow) == 1)
            let rows = try await pool.database.view(ViewName(design: "Monitor", view: "error")).rows
            #expect(rows.count == 1)
            let late = try await pool.token(try #require(rows.first?.id))
            #expect(late.pool.history.last?.outcome == .timeLimit)
            let asked = Mutex(0)
            var stopping = ActorLimits()
            stopping.stop = {
                asked.withLock {
                    $0 += 1
                    return $0 > 2
                }
            }
            let quick = Squares { _ in }
            #expect(try await ActorRun(pool: pool, worker: worker("w"), limits: stopping).run(quick) == 2)
        }
    }

    @Test(
        "cancelled, it gives the token back as it was told",
        arguments: [
            (ActorLimits.OnCancel.todo, TokenState.todo), (.values(lock: nil, done: nil), .locked),
            (.values(lock: 99, done: 99), .error),
        ])
    func cancelled(onCancel: ActorLimits.OnCancel, state: TokenState) async throws {
        try await withRealTime { pool in
            try await pool.add(["a"])
            var limits = ActorLimits()
            limits.onCancel = onCancel
            let (started, begin) = AsyncStream.makeStream(of: Void.self)
            let actor = Squares { _ in
                begin.yield()
                try await Task.sleep(for: .seconds(300))
            }
            let run = ActorRun(pool: pool, worker: worker("w"), limits: limits)
            let work = Task { try await run.run(actor) }
            for await _ in started { break }
            work.cancel()
            #expect(try await work.value == 1)
            #expect(try await pool.token("a").state == state)
            #expect(actor.notes.withLock { $0.last } == "clean up")
        }
    }
}
