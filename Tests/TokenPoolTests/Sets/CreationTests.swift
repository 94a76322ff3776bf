import CouchDB
import CouchDocument
import DesignDocuments
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import TokenPool

/// Runs a test with a pool of its own that has our views.
func withSets(_ body: (TokenSets) async throws -> Void) async throws {
    try await withDatabase { database in
        for design in DesignDocuments.all { try await database.push(design) }
        try await body(TokenSets(Pool(database: database)))
    }
}

func configuration(_ yaml: String, _ scratch: Scratch) throws -> SetConfiguration {
    try scratch.write(yaml, to: "set.yaml")
    return try SetConfiguration(file: scratch.path("set.yaml"))
}

extension TokenSets {
    func ids(_ view: ViewName) async throws -> [String] { try await database.view(view).rows.compactMap(\.id) }
}

@Suite("Creating sets")
struct CreationTests {
    @Test("a set is created whole: its tokens are todo, its document is ready")
    func whole() async throws {
        try await withSets { sets async throws in
            let scratch = try Scratch()
            let made = try configuration("set: s\ntokens: {range: 1..1203}\ncommand: echo {n}\n", scratch)
            let report = try await sets.create(made)
            #expect(report.created == 1203 && !report.resumed)
            #expect(try await sets.counts(of: "s") == StateCounts([.todo: 1203]))
            let set = try await sets.set("s")
            #expect(set.state == .ready && set.step == .finished && set.tokens == 1203)
            #expect(try await sets.list().map(\.name) == ["s"])
            let token = try await sets.pool.token("s_77")
            #expect(token.pool.hold == nil && token.pool.command == "echo 77")
            #expect(try await sets.ids(.picasTodo).count == 1203)
        }
    }

    @Test("a new set is written and freed without being read: two requests for a thousand tokens")
    func requests() async throws {
        try await withCountedPool { pool, counter in
            let sets = TokenSets(pool)
            let scratch = try Scratch()
            let made = try configuration("set: s\ntokens: {range: 1..4000}\ncommand: echo {n}\n", scratch)
            _ = counter.take()
            try await sets.create(made)
            let requests = counter.take()
            #expect(requests.count { $0.contains("_bulk_docs") } == 2 * 4000 / TokenSets.batchSize)
            #expect(requests.count <= 2 * 4000 / TokenSets.batchSize + 7, "\(requests)")
            #expect(!requests.contains { $0.contains("held") || $0.contains("_all_docs") })
            #expect(try await sets.counts(of: "s") == StateCounts([.todo: 4000]))
            let token = try await pool.token("s_4000")
            #expect(token.pool.hold == nil && token.pool.command == "echo 4000" && token.pool.created != nil)
            #expect(token.revision?.generation == 2)
        }
    }

    @Test("a set whose source goes away while it is written is freed all the same")
    func sourceGone() async throws {
        try await withSets { sets async throws in
            let scratch = try Scratch(["l.txt": "a\nb\nc\n"])
            let made = try configuration("set: s\ntokens: {lines: l.txt}\n", scratch)
            let path = scratch.path("l.txt")
            let removed = Mutex(false)
            try await sets.create(made) { progress in
                guard progress.phase == .writing else { return }
                removed.withLock { $0 = unlink(path) == 0 || $0 }
            }
            #expect(removed.withLock { $0 })
            #expect(try await sets.counts(of: "s") == StateCounts([.todo: 3]))
            #expect(try await sets.set("s").step == .finished)
        }
    }

    @Test("a token that somebody changes before it is freed keeps the change, and is freed")
    func changedMeanwhile() async throws {
        try await withSets { sets async throws in
            let scratch = try Scratch()
            let made = try configuration("set: s\ntokens: {range: 1..3}\n", scratch)
            let server = try await TestServer.shared().url
            let name = sets.database.name
            try await sets.create(made) { progress in
                guard progress.phase == .writing else { return }
                do {
                    let url = "\(server)/\(name)/s_2"
                    let answer = try run(
                        "curl -sS '\(url)' | sed 's/^{/{\"kept\":true,/' | curl -sS -X PUT '\(url)' -d @-")
                    #expect(answer.contains("\"ok\":true"), "\(answer)")
                } catch { Issue.record("\(error)") }
            }
            #expect(try await sets.counts(of: "s") == StateCounts([.todo: 3]))
            let second = try await sets.pool.token("s_2")
            #expect(second["kept"] == true && second.pool.hold == nil)
        }
    }

    @Test("a configuration with an error writes nothing")
    func nothing() async throws {
        try await withSets { sets async throws in
            let scratch = try Scratch()
            let made = try configuration("set: s\ntokens: [{n: 1}, {n: 2}, {n: 1}]\nname: x{n}\n", scratch)
            await #expect(throws: ConfigurationError.self) { try await sets.create(made) }
            #expect(try await sets.database.info().documentCount == DesignDocuments.all.count)
        }
    }

    @Test("an interrupted creation shows nothing to readers, and the next run completes it")
    func interrupted() async throws {
        try await withSets { sets async throws in
            let scratch = try Scratch()
            let first = try configuration("set: s\ntokens: {range: 1..3000}\n", scratch)
            let writing = Mutex<Task<Void, any Error>?>(nil)
            let gate = AsyncStream<Void>.makeStream()
            let task = Task {
                for await _ in gate.stream { break }
                try await sets.create(first) { progress in
                    if progress.phase == .writing { writing.withLock { $0?.cancel() } }
                }
            }
            writing.withLock { $0 = task }
            gate.continuation.yield()
            await #expect(throws: (any Error).self) { try await task.value }
            let counts = try await sets.counts(of: "s")
            #expect(counts[.waiting] > 0 && counts[.todo] == 0)
            #expect(try await sets.ids(.picasTodo).isEmpty)
            #expect(try await sets.list().isEmpty)
            await #expect(throws: PoolError.self) { try await sets.resume("s") }

            // The configuration changed meanwhile: what it no longer makes must go, what it makes otherwise be rewritten.
            let second = try configuration("set: s\ntokens: {range: 101..3100}\npriority: 1\n", scratch)
            let report = try await sets.create(second)
            #expect(report.resumed && report.removed > 0)
            #expect(try await sets.counts(of: "s") == StateCounts([.todo: 3000]))
            #expect(try await sets.pool.token("s_101").pool.priority == 1)
            #expect(try await sets.set("s").state == .ready)
        }
    }

    @Test("a writer that is alive is not disturbed; one that is gone is replaced")
    func writers() async throws {
        try await withSets { sets async throws in
            let scratch = try Scratch()
            let made = try configuration("set: s\ntokens: [a]\n", scratch)
            let gone = Process()
            gone.executableURL = URL(filePath: "/bin/true")
            try gone.run()
            gone.waitUntilExit()
            for (process, isAlive) in [(getpid(), true), (gone.processIdentifier, false)] {
                var document = try await sets.database.documentIfPresent("set_s") ?? Document(id: "set_s")
                document["type"] = "set"
                document["name"] = "s"
                document["state"] = "creating"
                document["creation"] = [
                    "step": "writing", "until": (SystemClock().now() + .seconds(3600)).json,
                    "by": ["host": .string(ProcessInfo.processInfo.hostName), "process": .integer(Int(process))],
                ]
                try await sets.database.save(document)
                if isAlive {
                    await #expect(throws: PoolError.self) { try await sets.create(made) }
                } else {
                    #expect(try await sets.create(made).resumed)
                }
            }
        }
    }

    @Test("an interrupted release is finished by anybody")
    func released() async throws {
        try await withSets { sets async throws in
            let scratch = try Scratch()
            try await sets.create(try configuration("set: s\ntokens: {range: 1..5}\n", scratch))
            try await sets.cancel("s")
            #expect(try await sets.counts(of: "s") == StateCounts([.waiting: 5]))
            try await sets.change("s") { set in
                set.state = .ready
                set.document["creation"] = ["step": "releasing", "until": 0]
                return true
            }
            #expect(try await sets.pool.sweep().finishedSets == ["s"])
            #expect(try await sets.counts(of: "s") == StateCounts([.todo: 5]))
            #expect(try await sets.pool.sweep().isEmpty)
        }
    }

    @Test("an existing set is refused, completed or brought up to date, as asked")
    func existing() async throws {
        try await withSets { sets async throws in
            let scratch = try Scratch()
            try await sets.create(try configuration("set: s\ntokens: {range: 1..4}\ncommand: old\n", scratch))
            let more = try configuration("set: s\ntokens: {range: 1..6}\ncommand: new\nfields: {x: 1}\n", scratch)
            await #expect(throws: PoolError.self) { try await sets.create(more) }

            try await sets.pool.update("s_1") {
                $0.lock = 1000
                $0["kept"] = true
                return true
            }
            try await sets.pool.update("s_2") {
                $0["kept"] = true
                return true
            }
            let skipped = try await sets.create(more, ifExists: .skip)
            #expect(skipped.created == 2 && skipped.kept == 4 && skipped.updated == 0)
            #expect(try await sets.pool.token("s_2").pool.command == "old")

            let updated = try await sets.create(more, ifExists: .update)
            #expect(updated.created == 0 && updated.updated == 3 && updated.kept == 3 && updated.tooLate == 1)
            let second = try await sets.pool.token("s_2")
            #expect(second.pool.command == "new" && second["x"] == 1 && second["kept"] == true && second.state == .todo)
            #expect(try await sets.pool.token("s_1").pool.command == "old")
            #expect(try await sets.create(more, ifExists: .update).updated == 0)
        }
    }

    @Test("ids of other documents are not overwritten, and then the set is not there at all")
    func taken() async throws {
        try await withSets { sets async throws in
            let scratch = try Scratch()
            try await sets.database.save(Document(id: "s_3", fields: ["mine": true]))
            let made = try configuration("set: s\ntokens: {range: 1..4}\n", scratch)
            await #expect {
                try await sets.create(made)
            } throws: {
                "\($0)"
                    == "a document \"s_3\" exists already and is of no set: choose another `id` or `set`; nothing was created"
            }
            #expect(try await sets.database.document("s_3")["mine"] == true)
            #expect(try await sets.counts(of: "s").total == 0)
            #expect(try await sets.database.documentIfPresent("set_s") == nil)
        }
    }

    @Test("tokens with attachments arrive with them, and are the same when made again")
    func attachments() async throws {
        try await withSets { sets async throws in
            let scratch = try Scratch([
                "l.txt": (0..<12).map { "srm://h/L12345_SB0\($0 < 10 ? "0" : "")\($0)_x.tar\n" }.joined()
            ])
            let made = try configuration("set: s\ntokens: {srm: l.txt}\n", scratch)
            try await sets.create(made)
            let bytes = try await sets.database.attachment("srm.txt", of: "s_SB010").bytes(upTo: 1000)
            #expect(
                String(decoding: bytes, as: UTF8.self) == "srm://h/L12345_SB010_x.tar\nsrm://h/L12345_SB011_x.tar\n")
            #expect(try await sets.create(made, ifExists: .update).updated == 0)
        }
    }

    @Test("tokens that wait for others or for a time stay waiting when the set is released")
    func dependencies() async throws {
        try await withSets { sets async throws in
            let scratch = try Scratch()
            try await sets.create(try configuration("set: s\ntokens: [1, 2]\nafter: [set_first]\n", scratch))
            #expect(try await sets.counts(of: "s") == StateCounts([.waiting: 2]))
            #expect(try await sets.pool.token("s_0001").pool.hold == nil)
        }
    }

    @Test("without our views creation says what to do, and writes nothing")
    func noViews() async throws {
        try await withDatabase { database in
            let scratch = try Scratch()
            let made = try configuration("set: s\ntokens: [1]\n", scratch)
            await #expect {
                try await TokenSets(Pool(database: database)).create(made)
            } throws: {
                "\($0)".hasSuffix("run `tokenpool views push`")
            }
            #expect(try await database.info().documentCount == 0)
        }
    }

    @Test("100,000 tokens are made one after the other, and each id once")
    func many() throws {
        let scratch = try Scratch()
        let made = try configuration("set: s\ntokens: {range: 1..100000}\ncommand: echo {n}\n", scratch)
        let ledger = try SetLedger(made, progress: nil)
        #expect(ledger.count == 100_000)
        #expect(ledger.contains("s_99999") && !ledger.contains("s_100001"))
    }
}
