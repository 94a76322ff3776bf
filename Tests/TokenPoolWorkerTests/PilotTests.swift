import CouchDB
import CouchDocument
import DesignDocuments
import Foundation
import Synchronization
import TestSupport
import Testing
import TokenPool

@testable import TokenPoolWorker

/// A pool, a folder to work in, and what a pilot told.
struct PilotFixture {
    let pool: Pool
    let folder: String

    func pilot(
        slots: Int = 2, name: String = "pilot", report: @escaping @Sendable (PilotNews) -> Void = { _ in },
        change: (inout PilotOptions) -> Void = { _ in }
    ) -> Pilot {
        var options = PilotOptions(workDirectory: folder, environment: ["PATH": "/usr/bin:/bin", "HOME": folder])
        options.slots = slots
        options.sandboxDirectory = folder + "/cache"
        change(&options)
        return Pilot(
            pool: pool, options: options, identity: WorkerIdentity(name: name, hostname: "testhost"), report: report)
    }

    func add(_ id: String, _ input: String = "", _ change: (inout Token) -> Void = { _ in }) async throws {
        var token = Token(id: id)
        token.input = .string(input)
        change(&token)
        guard case .saved = try await pool.save(token) else { throw CocoaError(.fileWriteFileExists) }
    }

    func text(_ name: String, of id: String) async throws -> String {
        String(decoding: try await pool.database.attachment(name, of: id).bytes(upTo: 1 << 24), as: UTF8.self)
    }

    /// What is left in the work folder of tries.
    var leftovers: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0 != "cache" } }
    }

    static func with(_ body: (PilotFixture) async throws -> Void) async throws {
        try await withDatabase { database in
            for design in DesignDocuments.all { try await database.push(design) }
            let folder = FileManager.default.temporaryDirectory.path + "/tokenpool-pilot-\(UUID().uuidString)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            try await body(PilotFixture(pool: Pool(database: database), folder: folder))
        }
    }
}

/// Waits for one thing that a pilot tells.
final class Signal: Sendable {
    private let stream: AsyncStream<Void>
    private let inbox: AsyncStream<Void>.Continuation
    init() { (stream, inbox) = AsyncStream.makeStream() }
    func raise() { inbox.yield() }
    func wait() async { for await _ in stream { return } }
}

@Suite("A pilot", .timeLimit(.minutes(2)))
struct PilotTests {
    @Test("runs PiCaS' tokens, and they look as PiCaS would leave them")
    func picas() async throws {
        try await PilotFixture.with { fixture in
            try await fixture.add("token_0", "echo out; echo err >&2")
            try await fixture.add("token_1", "exit 3")
            try await fixture.pilot().run()
            let done = try await fixture.pool.token("token_0")
            #expect(done.state == .done)
            #expect(done.exitCode == 0)
            #expect(done.hostname == "testhost")
            #expect(done.errors.isEmpty)
            #expect(try await fixture.text("logs_token_0.out", of: "token_0") == "out\n")
            #expect(try await fixture.text("logs_token_0.err", of: "token_0") == "err\n")
            let failed = try await fixture.pool.token("token_1")
            #expect(failed.state == .error)
            #expect(failed.exitCode == 3)
            for view in ["done", "error"] {
                let rows = try await fixture.pool.database.view(ViewName(design: "Monitor", view: view)).rows
                #expect(rows.count == 1)
            }
            #expect(try fixture.leftovers.isEmpty)
            let workers = try await fixture.pool.database.allDocuments().rows.filter {
                $0.id?.hasPrefix("worker_") ?? false
            }
            #expect(workers.isEmpty)
        }
    }

    @Test("32 slots run hundreds of tokens, each exactly once, whatever their ids")
    func slots() async throws {
        try await PilotFixture.with { fixture in
            let odd = ["a b", "100%", "a+b&c#d", "a/b", "żółć 🐟", "new\nline", "'; exit 1; '"]
            let ids = (0..<300).map { "t\($0)" } + odd
            for id in ids {
                try await fixture.add(id, "") { $0.pool.command = "printf %s {id} | tee -a ../ran-$TOKENPOOL_LEASE" }
            }
            try await fixture.pilot(slots: 32).run()
            for id in odd {
                let token = try await fixture.pool.token(id)
                #expect(token.state == .done, "\(id)")
                #expect(try await fixture.text(token.logName("out"), of: id) == id)
            }
            let ran = try fixture.leftovers.filter { $0.hasPrefix("ran-") }.map {
                try String(contentsOfFile: fixture.folder + "/" + $0, encoding: .utf8)
            }
            #expect(ran.count == ids.count)
            #expect(Set(ran) == Set(ids))
        }
    }

    @Test("commands of a millisecond: it ends when the pool is empty, and not before", arguments: [1, 2])
    func shortCommands(slots: Int) async throws {
        try await PilotFixture.with { fixture in
            let tokens = (0..<200).map { number in
                var token = Token(id: "short_\(number)")
                token.pool.command = ["/bin/true"]
                return token.document
            }
            for outcome in try await fixture.pool.database.bulkSave(tokens) { #expect(outcome.error == nil) }
            try await fixture.pilot(slots: slots, change: { $0.source = .queues() }).run()
            #expect(try await fixture.pool.queues().isEmpty)
            for number in 0..<200 { #expect(try await fixture.pool.token("short_\(number)").state == .done) }
        }
    }

    @Test("a failing token is tried as often as it says, at once or later, then it is an error with its log")
    func retries() async throws {
        try await PilotFixture.with { fixture in
            try await fixture.add("now", "echo try $TOKENPOOL_ATTEMPT; exit 4") { $0.pool.maxAttempts = 3 }
            try await fixture.add("later", "test $TOKENPOOL_ATTEMPT = 2") {
                $0.pool.maxAttempts = 2
                $0.pool.retryDelay = .milliseconds(1200)
            }
            try await fixture.pilot().run()
            let now = try await fixture.pool.token("now")
            #expect(now.state == .error)
            #expect(now.pool.history.map(\.exitCode) == [4, 4, 4])
            #expect(try await fixture.text("logs_now.out", of: "now") == "try 3\n")
            #expect(try await fixture.pool.token("later").state == .done)
        }
    }

    @Test("a time limit ends the command with all it started, and the token says so")
    func timeLimit() async throws {
        try await PilotFixture.with { fixture in
            let pidFile = fixture.folder + "/cache-pid"
            try await fixture.add("slow", "echo begun; (trap '' TERM; sh -c 'echo $$ > \(pidFile); sleep 300') & wait")
            {
                $0.pool.timeLimit = .milliseconds(700)
            }
            try await fixture.pilot(change: { $0.grace = .milliseconds(300) }).run()
            let token = try await fixture.pool.token("slow")
            #expect(token.state == .error)
            #expect(token.pool.history.last?.outcome == .timeLimit)
            #expect(token.errors.last?["message"]?.stringValue?.contains("time limit of 0.7 s exceeded") == true)
            #expect(try await fixture.text("logs_slow.out", of: "slow") == "begun\n")
            let pid = try String(contentsOfFile: pidFile, encoding: .utf8).trimmingCharacters(in: .newlines)
            let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
            #expect(stat == nil || stat?.contains(") Z") == true, "the grandchild still runs")
        }
    }

    @Test("told to stop it ends the command, attaches what came out so far, and only then hands the token back")
    func stop() async throws {
        try await PilotFixture.with { fixture in
            let ready = fixture.folder + "/cache-ready"
            try await fixture.add(
                "long",
                "echo before; echo half > part.txt; trap 'echo after; exit 0' TERM; : > \(ready); while :; do sleep 0.05; done"
            ) { $0.pool.outputs = ["*.txt"] }
            let pilot = fixture.pilot(slots: 1)
            let work = Task { try await pilot.run() }
            while !FileManager.default.fileExists(atPath: ready) { await Task.yield() }
            pilot.stop()
            try await work.value
            let token = try await fixture.pool.token("long")
            #expect(token.state == .todo)
            #expect(token.scrubCount == 1)
            #expect(token.pool.attempts == 0)
            #expect(try await fixture.text("logs_long.out", of: "long") == "before\nafter\n")
            #expect(try await fixture.text("part.txt", of: "long") == "half\n")
            // The revision that is todo is the one that carries the log: nobody could claim it before.
            #expect(token.document.attachment("logs_long.out")?.revisionPosition == token.revision?.generation)
        }
    }

    @Test("told to stop between the claim and the start it hands the tokens back, and nothing of them ran")
    func stoppedBeforeStart() async throws {
        try await PilotFixture.with { fixture in
            for id in ["a", "b"] { try await fixture.add(id, "touch \(fixture.folder)/cache-ran") }
            let stop = Mutex<(@Sendable () -> Void)?>(nil)
            let pilot = fixture.pilot(report: { if case .claimed = $0 { stop.withLock { $0?() } } })
            stop.withLock { $0 = { pilot.stop() } }
            try await pilot.run()
            for id in ["a", "b"] {
                let token = try await fixture.pool.token(id)
                #expect(token.state == .todo && token.pool.attempts == 0 && token.scrubCount == 1)
            }
            #expect(!FileManager.default.fileExists(atPath: fixture.folder + "/cache-ran"))
            stop.withLock { $0 = nil }
        }
    }

    @Test("a token that another took is left to it: the command ends and the result is kept aside")
    func superseded() async throws {
        try await PilotFixture.with { fixture in
            let started = Signal()
            try await fixture.add("a", "echo mine; sleep 300")
            let pilot = fixture.pilot(slots: 1, report: { if case .started = $0 { started.raise() } }) {
                $0.lease = .milliseconds(1500)
            }
            let work = Task { try await pilot.run() }
            await started.wait()
            try await fixture.pool.update("a") { token in
                token.reset(at: fixture.pool.clock.now())
                token.lock = TokenState.waitingLock
                token.pool.hold = "test"
                return true
            }
            try await work.value
            let token = try await fixture.pool.token("a")
            #expect(token.state == .waiting)
            let kept = token.document.attachments.names.filter { $0.hasPrefix("attempt-") }
            #expect(kept.count == 1)
        }
    }

    @Test("the token's files lie beside the command, its outputs are kept, large ones as well, its inputs not twice")
    func files() async throws {
        try await PilotFixture.with { fixture in
            try await fixture.add("a", "") { token in
                token.attach(.init(name: "in.txt", contentType: "text/plain", bytes: Array("input".utf8)))
                token.attach(.init(name: "sub/par.set", contentType: "text/plain", bytes: Array("p".utf8)))
                token.pool.command =
                    "cat in.txt sub/par.set sub_par.set > copy.txt; head -c 300000 /dev/zero > big.bin; echo '{\"n\":1}' > output.json; grep -c in.txt token.json; true"
                token.pool.outputs = ["*.txt", "*.bin"]
            }
            try await fixture.pilot().run()
            let token = try await fixture.pool.token("a")
            #expect(token.state == .done)
            #expect(token.output == ["n": 1])
            #expect(try await fixture.text("copy.txt", of: "a") == "inputpp")
            #expect(token.document.attachment("big.bin")?.length == 300_000)
            #expect(token.uploads?.objectValue?.names.sorted() == ["big.bin", "copy.txt"])
            #expect(token.inputAttachments.sorted() == ["in.txt", "sub/par.set"])
            #expect(try fixture.leftovers.isEmpty)
        }
    }

    @Test("a sandbox that is not what its digest says fails the token with the reason, before anything runs")
    func badSandbox() async throws {
        try await PilotFixture.with { fixture in
            try await fixture.add("a", "echo ran") { $0.pool.sandbox = ["folder": "/no/such/folder"] }
            try await fixture.pilot().run()
            let token = try await fixture.pool.token("a")
            #expect(token.state == .error)
            #expect(token.errors.last?["message"]?.stringValue?.contains("/no/such/folder") == true)
            #expect(token.document.attachment("logs_a.out") == nil)
        }
    }

    @Test("waiting, it takes what comes, and ends after the tokens it may take")
    func waits() async throws {
        try await PilotFixture.with { fixture in
            let waiting = Signal()
            let pilot = fixture.pilot(slots: 1, report: { if case .waiting = $0 { waiting.raise() } }) {
                $0.condition = StopCondition(maxTokens: 1, waits: true)
            }
            let work = Task { try await pilot.run() }
            await waiting.wait()
            try await fixture.add("a", "true")
            try await work.value
            #expect(try await fixture.pool.token("a").state == .done)
        }
    }

    @Test("takes back what a vanished worker held, and runs it")
    func takeBack() async throws {
        try await PilotFixture.with { fixture in
            try await fixture.add("a", "true")
            let past = Pool(
                database: fixture.pool.database, clock: FixedClock(fixture.pool.clock.now() - .seconds(1000)))
            #expect(
                try await past.claim(1, as: WorkerIdentity(name: "gone", hostname: "gone"), lease: .seconds(60)).count
                    == 1)
            try await fixture.pilot().run()
            let token = try await fixture.pool.token("a")
            #expect(token.state == .done)
            #expect(token.pool.history.map(\.outcome) == [.lapsed, .done])
        }
    }

    @Test("tokens of GRID_LRT get their variables, status and output")
    func gridLRT() async throws {
        try await PilotFixture.with { fixture in
            var token = Token(id: "t_demo_L1_SB000", type: "demo")
            token.status = "queued"
            token["times"] = [:]
            token.output = ""
            token["OBSID"] = "L1"
            token.pool.command = "./master.sh"
            token["config.json"] = [
                "variables": ["_token_keys": ["$OBS": "OBSID"], "_attachments": ["$SRMFILE": "srm.txt"]]
            ]
            token.attach(.init(name: "srm.txt", contentType: "text/plain", bytes: Array("srm://x\n".utf8)))
            token.attach(
                .init(
                    name: "master.sh", contentType: "text/plain",
                    bytes: Array("echo $OBS $TOKEN; cat $SRMFILE; exit 21\n".utf8)))
            token.pool.command = "sh ./master.sh"
            _ = try await fixture.pool.save(token)
            try await fixture.pilot(change: { $0.source = .byPriority }).run()
            token = try await fixture.pool.token(token.id)
            #expect(token.status == "error")
            #expect(token.output == 21)
            #expect(token["times"]?.objectValue?.names == ["launched", "error"])
            #expect(try await fixture.text(token.logName("out"), of: token.id) == "L1 t_demo_L1_SB000\nsrm://x\n")
        }
    }

    @Test("without the database it says so instead of trying for ever")
    func noDatabase() async throws {
        let server = try await TestServer.shared()
        let database = try Server(url: server.url).database("no-such-database")
        var options = PilotOptions(workDirectory: NSTemporaryDirectory(), environment: [:])
        options.sandboxDirectory = NSTemporaryDirectory() + "/cache"
        let pilot = Pilot(
            pool: Pool(database: database), options: options, identity: WorkerIdentity(name: "p", hostname: "h"))
        await #expect(throws: (any Error).self) { try await pilot.run() }
    }
}

struct FixedClock: PoolClock {
    let time: Timestamp
    init(_ time: Timestamp) { self.time = time }
    func now() -> Timestamp { time }
}
