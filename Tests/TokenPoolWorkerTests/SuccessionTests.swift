import CouchDB
import CouchDocument
import DesignDocuments
import Foundation
import Synchronization
import TestSupport
import Testing
import TokenPool

@testable import TokenPoolWorker

@Suite("One command after the other in a slot", .timeLimit(.minutes(2)))
struct SuccessionTests {
    /// Adds tokens whose commands note that they ran, and wait as long as there is a gate.
    private func add(_ count: Int, to fixture: PilotFixture) async throws {
        let tokens = (0..<count).map { number in
            var token = Token(id: "t\(number)")
            token.pool.command = .string(
                "echo $TOKENPOOL_SLOT > ../ran-$TOKEN-$TOKENPOOL_LEASE; while [ -e ../cache-gate ]; do sleep 0.02; done"
            )
            return token.document
        }
        for outcome in try await fixture.pool.database.bulkSave(tokens) { #expect(outcome.error == nil) }
    }

    private func ran(_ fixture: PilotFixture) throws -> [String] {
        try fixture.leftovers.filter { $0.hasPrefix("ran-") }
    }

    private func folders(_ fixture: PilotFixture) throws -> [String] {
        try fixture.leftovers.filter { !$0.hasPrefix("ran-") && !$0.hasSuffix(".out") && !$0.hasSuffix(".err") }
    }

    @Test("what was prepared and not started goes back untried when the pilot is told to stop, and leaves no folder")
    func stop() async throws {
        try await PilotFixture.with { fixture in
            try await add(300, to: fixture)
            let gate = fixture.folder + "/cache-gate"
            let ended = Mutex(0)
            let pilot = fixture.pilot(slots: 2) { news in
                guard case .ended = news else { return }
                // In the middle of a rush the commands begin to last.
                if ended.withLock({
                    $0 += 1; return $0 == 40
                }) {
                    _ = FileManager.default.createFile(atPath: gate, contents: nil)
                }
            } change: {
                $0.source = .queues()
            }
            let work = Task { try await pilot.run() }
            // Two folders are those of the commands that wait at the gate; the others are prepared.
            while try ended.withLock({ $0 }) < 40 || folders(fixture).count < 4 { await Task.yield() }
            pilot.stop()
            try await work.value
            try FileManager.default.removeItem(atPath: gate)
            #expect(try folders(fixture).isEmpty)
            var done = 0
            var stopped = 0
            for number in 0..<300 {
                let token = try await fixture.pool.token("t\(number)")
                let runs = try ran(fixture).filter { $0.hasPrefix("ran-t\(number)-") }.count
                if token.state == .done {
                    done += 1
                    #expect(runs == 1)
                } else {
                    #expect(token.state == .todo && token.pool.attempts == 0)
                    stopped += runs
                }
            }
            #expect(done >= 40 && done < 300)
            #expect(stopped <= 2)

            // Another pilot does the rest, each once.
            try await fixture.pilot(slots: 2, name: "other", change: { $0.source = .queues() }).run()
            let all = try ran(fixture)
            #expect(all.count == 300 + stopped)
            for name in all {
                let slot = try String(contentsOfFile: fixture.folder + "/" + name, encoding: .utf8)
                // Empty: ended before it could write.
                #expect(["0\n", "1\n", ""].contains(slot))
            }
        }
    }

    @Test("results that can not be written while the next commands run are written later, and nothing runs twice")
    func reportsFail() async throws {
        let server = try await TestServer.shared()
        try await withDatabase(on: server) { database in
            for design in DesignDocuments.all { try await database.push(design) }
            let folder = FileManager.default.temporaryDirectory.path + "/tokenpool-pilot-\(UUID().uuidString)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let faulty = FaultyServer(server)
            let client = try Server(url: faulty.url)
            let fixture = PilotFixture(pool: Pool(database: client.database(database.name)), folder: folder)
            try await add(120, to: fixture)
            // Whatever they hit, claims or results: refused, done and not answered, half done.
            for fault: FaultyServer.Fault in [
                .none, .none, .none, .refused(503), .none, .doneButCut, .none, .doneButAnswered(500), .cut, .none,
                .doneButAnswered(503), .refused(500), .none, .doneButCut,
            ] { faulty.spoil("_bulk_docs", fault) }
            try await fixture.pilot(slots: 1, change: { $0.source = .queues() }).run()
            for number in 0..<120 {
                let token = try await fixture.pool.token("t\(number)")
                #expect(token.state == .done)
                #expect(token.pool.history.map(\.outcome) == [.done])
                #expect(token.document.attachment(token.logName("out")) != nil)
            }
            #expect(try ran(fixture).count == 120)
            #expect(try folders(fixture).isEmpty)
            await client.shutdown()
        }
    }

    @Test("outputs of a command are collected while the next one runs, and none is lost")
    func outputs() async throws {
        try await PilotFixture.with { fixture in
            for number in 0..<40 {
                try await fixture.add("t\(number)") { token in
                    token.pool.command = .string("echo \(number) > result.txt; echo log \(number)")
                    token.pool.outputs = ["*.txt"]
                    token.pool.requires = number % 3 == 0 ? ["cores": 1] : [:]
                }
            }
            try await fixture.pilot(slots: 2, change: { $0.source = .queues() }).run()
            for number in 0..<40 {
                #expect(try await fixture.pool.token("t\(number)").state == .done)
                #expect(try await fixture.text("result.txt", of: "t\(number)") == "\(number)\n")
                #expect(try await fixture.text("logs_t\(number).out", of: "t\(number)") == "log \(number)\n")
            }
            #expect(try fixture.leftovers.isEmpty)
        }
    }

    @Test("a program that is not there fails its token in the middle of others, with the shell's code")
    func missing() async throws {
        try await PilotFixture.with { fixture in
            for number in 0..<30 {
                try await fixture.add("t\(number)") { token in
                    token.pool.command = [.string(number % 2 == 0 ? "/bin/true" : "/no/such/program")]
                }
            }
            try await fixture.add("hole") { $0.pool.command = ["/bin/echo", "{nothing}"] }
            try await fixture.pilot(slots: 1, change: { $0.source = .queues() }).run()
            for number in 0..<30 {
                let token = try await fixture.pool.token("t\(number)")
                #expect(token.state == (number % 2 == 0 ? .done : .error))
                if number % 2 == 1 { #expect(token.exitCode == 127) }
            }
            #expect(
                try await fixture.pool.token("hole").errors.last?["message"]?.stringValue?.contains("nothing") == true)
            #expect(try fixture.leftovers.isEmpty)
        }
    }
}
