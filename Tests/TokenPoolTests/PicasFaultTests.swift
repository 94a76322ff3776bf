import CouchDB
import CouchDocument
import DesignDocuments
import Foundation
import TestSupport
import Testing
import TokenPool

/// What goes wrong in PiCaS 1.1.2 and has no test of ours elsewhere. `docs/picas.md` lists all of it.
@Suite("Faults of PiCaS that we do not have", .timeLimit(.minutes(2)))
struct PicasFaultTests {
    @Test("claiming, listing, resetting, finishing and deleting cost requests by the batch, not by the token")
    func requests() async throws {
        try await withCountedPool { pool, counter in
            for count in [20, 1200] {
                try await pool.add((0..<count).map { "t\($0)" })
                _ = counter.take()
                let batches = (count + 499) / 500

                // What a cluster is asked once is asked before.
                var claims = try await pool.claim(1, as: worker("w"))
                _ = counter.take()
                while claims.count < count {
                    let more = try await pool.claim(count - claims.count, as: worker("w"))
                    claims += more
                }
                // A window has at most 512 rows; PiCaS asks three times for each token.
                let claiming = counter.take()
                #expect(claiming.count <= 4 + 3 * batches * 2, "\(claiming)")

                let now = SystemClock().now()
                let results = claims.map { ($0, TokenResult(exitCode: 1, started: now, ended: now)) }
                _ = try await pool.finish(results)
                #expect(counter.take().count == 1)

                let view = ViewName(design: "Monitor", view: "error")
                var query = ViewQuery()
                query.includeDocuments = true
                #expect(try await pool.database.view(view, query).rows.count == count)
                #expect(counter.take().count == 1)

                #expect(try await pool.reset(view).changed == count)
                let resetting = counter.take()
                #expect(resetting.count <= 3 * batches + 1, "\(resetting)")

                #expect(try await pool.delete(.picasTodo).changed == count)
                let deleting = counter.take()
                #expect(deleting.count <= 3 * batches + 1, "\(deleting)")
            }
        }
    }

    @Test("a token deleted or taken between the view and the claim is passed over, and the next one is claimed")
    func vanished() async throws {
        try await withPool { pool, _ in
            try await pool.add((0..<6).map { "t\($0)" })
            // The view knows all six; a lazy read answers what it knew.
            #expect(try await pool.database.view(.picasTodo).rows.count == 6)
            for id in ["t0", "t1", "t2"] { try await pool.delete(id) }
            try await pool.update("t3") { token in
                token.lock = 5
                return true
            }
            #expect(Set(try await pool.claim(6, as: worker("w")).map(\.token.id)) == ["t4", "t5"])
        }
    }

    @Test("tokens without scrub_count, exit_code, error or hostname are claimed, finished, put back and given up")
    func bareTokens() async throws {
        try await withPool { pool, clock in
            for id in ["done", "failed", "scrubbed", "given up"] {
                try await pool.database.save(Document(id: id, fields: ["type": "token", "lock": 0, "done": 0]))
            }
            let claims = try await pool.claim(4, as: worker("w"))
            #expect(claims.count == 4)
            for claim in claims {
                #expect(claim.token.errors.isEmpty && claim.token.scrubCount == 0)
                let result = { TokenResult(exitCode: $0, started: clock.now(), ended: clock.now()) }
                switch claim.token.id {
                case "done": _ = try await pool.finish(claim, result(0))
                case "failed": _ = try await pool.finish(claim, result(2))
                case "scrubbed": try await pool.scrub(claim.token.id)
                default: try await pool.fail(claim, "no such calibrator")
                }
            }
            #expect(try await pool.token("done").state == .done)
            #expect(try await pool.token("failed").exitCode == 2)
            #expect(try await pool.token("scrubbed").scrubCount == 1)
            #expect(try await pool.token("given up").errors.count == 1)
        }
    }

    @Test("a program that is stopped between claim and start hands the token back, and does nothing to it")
    func stoppedBeforeStart() async throws {
        /// Is told to stop while it prepares a token.
        struct Slow: TokenActor {
            let began: AsyncStream<Void>.Continuation
            func prepareRun(_ token: Token) async throws {
                began.yield()
                try await Task.sleep(for: .seconds(300))
            }
            func process(_ token: inout Token) async throws { token["touched"] = true }
        }
        try await withPool { pool, _ in
            let real = Pool(database: pool.database)
            try await real.add(["a"])
            let (stream, began) = AsyncStream.makeStream(of: Void.self)
            let work = Task { try await ActorRun(pool: real, worker: worker("w")).run(Slow(began: began)) }
            for await _ in stream { break }
            #expect(try await real.token("a").state == .locked)
            work.cancel()
            _ = try await work.value
            let token = try await real.token("a")
            #expect(token.state == .todo && token["touched"] == nil && token.pool.attempts == 0)
        }
    }

    @Test("two people who push views at once: the second is told, and nothing is lost in silence")
    func designs() async throws {
        try await withPool { pool, _ in
            var mine = try #require(try await pool.database.designDocument("Monitor"))
            var theirs = mine
            theirs.views["theirs"] = .init(map: "function (doc) {}")
            mine.views["mine"] = .init(map: "function (doc) {}")
            try await pool.database.push(theirs)
            await #expect { try await pool.database.save(mine.document) } throws: { CouchDBError.conflict ~= $0 }
            let stored = try #require(try await pool.database.designDocument("Monitor"))
            #expect(stored.views["theirs"] != nil && stored.views["todo"] != nil)
        }
    }
}
