import CouchDB
import CouchDocument
import DesignDocuments
import Foundation
import Logging
import TestSupport
import Testing
import TokenPool
import TokenPoolWorker

/// The examples of docs/picas.md, line by line, so that they compile and do what they say.
@Suite("Examples of docs/picas.md", .timeLimit(.minutes(2)))
struct PicasExamplesTests {
    struct Squares: TokenActor {
        func process(_ token: inout Token) async throws {
            let number = token.input.intValue ?? 0
            token.output = ["square": .integer(number * number)]
        }
    }

    struct Shell: TokenActor {
        let folder: String

        func process(_ token: inout Token) async throws {
            let outcome = try await Execution.shell(token.input.stringValue ?? "", folder: folder).run()
            token.exitCode = .integer(outcome.exitCode)
            token.attach(outcome.output, as: token.logName("out"))
            token.attach(outcome.errors, as: token.logName("err"))
        }
    }

    private let worker = WorkerIdentity(name: "w", hostname: "node7")

    @Test("an actor squares numbers")
    func squares() async throws {
        try await PilotFixture.with { fixture in
            let pool = fixture.pool
            try await fixture.add("a") { $0.input = 7 }
            var limits = ActorLimits()
            limits.tokenTime = .seconds(1800)
            limits.scrubs = 2
            let taken = try await ActorRun(pool: pool, worker: worker, limits: limits).run(Squares())
            #expect(taken == 1)
            #expect(try await pool.token("a").output == ["square": 49])
        }
    }

    @Test("an actor runs programs and attaches what they say")
    func shell() async throws {
        try await PilotFixture.with { fixture in
            try await fixture.add("good", "echo fine")
            try await fixture.add("bad", "echo oops >&2; exit 4")
            let run = ActorRun(pool: fixture.pool, worker: worker)
            #expect(try await run.run(Shell(folder: fixture.folder)) == 2)
            #expect(try await fixture.pool.token("good").state == .done)
            #expect(try await fixture.text("logs_good.out", of: "good") == "fine\n")
            #expect(try await fixture.pool.token("bad").exitCode == 4)
            #expect(try await fixture.text("logs_bad.err", of: "bad") == "oops\n")
            #expect(try fixture.leftovers.isEmpty)
        }
    }

    @Test("tokens nested in one document")
    func nested() async throws {
        try await PilotFixture.with { fixture in
            let pool = fixture.pool
            let runs = (0..<4).map { _ in JSON.object(TokenModifier.emptyToken) }
            try await pool.database.save(Document(id: "record", fields: ["type": "record", "runs": .array(runs)]))
            let modifier = TokenModifier(worker: worker)
            let path: NestedTokenPath = ["runs", 3]
            if try await pool.update(path, of: "record", modifier.lock) {
                try await pool.update(path, of: "record") { token in
                    modifier.addOutput(["exit_code": 0], to: &token)
                    modifier.close(&token)
                    return true
                }
            }
            let record = try await pool.token("record")
            #expect(record["runs"]?[3]?["exit_code"] == 0 && record["runs"]?[2]?["lock"] == 0)
        }
    }

    @Test("a logger that writes log documents")
    func logger() async throws {
        try await PilotFixture.with { fixture in
            let pool = fixture.pool
            let log = PoolLog(database: pool.database, host: worker.hostname)
            let logger = Logger(label: "my program") { log.handler(label: $0) }
            let writing = Task { try await log.run() }
            logger.warning("the disk is nearly full", metadata: ["free": "2%"])
            writing.cancel()  // what was logged until then is written
            try await writing.value
            #expect(try await pool.log().map(\.message) == ["the disk is nearly full"])
        }
    }

    @Test("views, a probe, a batch job, a user")
    func documents() async throws {
        try await PilotFixture.with { fixture in
            let pool = fixture.pool
            let (user, password) = ("user-\(UInt64.random(in: 0 ... .max))", "secret")
            _ = try await pool.database.server.createDatabaseIfMissing("_users")
            try await fixture.add("a") { $0["cores"] = 1 }
            try await pool.database.push(PicasViews.singleCore)
            try await pool.database.push(PicasViews.design("Large", where: "doc.cores > 8"))
            if try await pool.hasRows(in: ViewName(design: "SingleCore", view: "todo")) {
                try await pool.updateJob("slurm 4711") { $0.queue(method: "slurm", at: pool.clock.now()) }
            }
            try await pool.database.server.saveUser(name: user, password: password, roles: ["pilot"])
            try await pool.database.allow(names: [user])
            #expect(try await pool.job("slurm 4711")?.queued != nil)
            #expect(try await pool.database.security().members.names == [user])
            try await pool.database.server.deleteUser(user)
        }
    }

    @Test("each block of the page stands here as it stands there")
    func same() throws {
        func lines(_ text: String) -> [String] {
            text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
        }
        let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: package.appending(path: "docs/picas.md"), encoding: .utf8)
        let here =
            "\n" + lines(try String(contentsOf: URL(filePath: #filePath), encoding: .utf8)).joined(separator: "\n")
        let blocks = page.components(separatedBy: "```swift\n").dropFirst().map { $0.components(separatedBy: "```")[0] }
        #expect(blocks.count >= 6)
        for block in blocks {
            #expect(here.contains("\n" + lines(block).joined(separator: "\n") + "\n"), "\(block)")
        }
    }

    @Test("every test that the page names is there")
    func named() throws {
        let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: package.appending(path: "docs/picas.md"), encoding: .utf8)
        let tests = package.appending(path: "Tests").path(percentEncoded: false)
        func words(after word: String, in text: String) -> Set<Substring> {
            Set(
                text.components(separatedBy: word).dropFirst().map {
                    Substring($0).prefix { $0.isLetter || $0.isNumber }
                })
        }
        let sources = try FileManager.default.subpathsOfDirectory(atPath: tests).filter { $0.hasSuffix(".swift") }.map {
            let text = try String(contentsOfFile: tests + "/" + $0, encoding: .utf8)
            return (suites: words(after: "struct ", in: text), functions: words(after: "func ", in: text))
        }
        let names = page.matches(of: #/`(\w+Tests)\.(\w+)`/#).map { (String($0.1), String($0.2)) }
        #expect(names.count > 80)
        for (suite, function) in names {
            let isThere = sources.contains {
                $0.suites.contains(Substring(suite)) && $0.functions.contains(Substring(function))
            }
            #expect(isThere, "\(suite).\(function)")
        }
        for number in 1...17 { #expect(page.contains("\n| \(number) | "), "fault \(number)") }
    }
}
