import CouchDB
import CouchDocument
import DesignDocuments
import TestSupport
import Testing
import TokenPool

/// What a cluster answers when nodes are slow, full or lost: the real store behind, spoilt answers before it.
@Suite("A cluster on a bad day", .timeLimit(.minutes(2)))
struct BadDayTests {
    private func withFaults(
        confirms: Bool? = nil, _ body: (Pool, FaultyServer, Database) async throws -> Void
    ) async throws {
        let server = try await TestServer.shared()
        try await withDatabase(on: server) { database in
            for design in DesignDocuments.all { try await database.push(design) }
            let faulty = FaultyServer(server)
            var configuration = try ServerConfiguration(url: faulty.url)
            configuration.retry.pause = .milliseconds(1)
            let client = try Server(configuration)
            let pool = Pool(database: client.database(database.name), confirmsClaims: confirms)
            // What is asked once is asked now, so that faults meet what they are meant for.
            try await pool.add(["warm-up"])
            _ = try await pool.fail(try #require(try await pool.claim(1, as: worker("x")).first), "not needed")
            try await body(pool, faulty, database)
            await client.shutdown()
        }
    }

    private func token(_ id: String, _ database: Database) async throws -> Token {
        Token(try await database.document(id))
    }

    private let good = TokenResult(exitCode: 0, started: Timestamp(seconds: 1), ended: Timestamp(seconds: 2))

    // Claiming

    @Test("a claim that was only accepted (202) does not count, and is handed back")
    func acceptedClaim() async throws {
        try await withFaults { pool, faulty, database in
            try await pool.add(["a"])
            faulty.spoil("_bulk_docs", .accepted)
            let claims = try await pool.claim(1, as: worker("w"))
            let token = try await token("a", database)
            // Handed back it is todo, so the same call claims it again.
            #expect(claims.map(\.token.revision) == [token.revision])
            #expect(token.pool.history.map(\.outcome) == [.released])
            #expect(token.pool.attempts == 1)
        }
    }

    @Test("while nodes are away claims are tried three times and then told, and the token stays free")
    func acceptedAgainAndAgain() async throws {
        try await withFaults { pool, faulty, database in
            try await pool.add(["a"])
            for _ in 0..<3 { faulty.spoil("_bulk_docs", .accepted, .accepted) }
            let error = await #expect(throws: CouchDBError.self) { try await pool.claim(1, as: worker("w")) }
            #expect(error?.isUncertain == true)
            #expect(error?.reason == "too few nodes of the cluster take claims")
            #expect(try await token("a", database).state == .todo)
            #expect(try await pool.claim(1, as: worker("w")).count == 1)
        }
    }

    @Test("what was only accepted and can not be handed back either costs none of the others")
    func acceptedAndStuck() async throws {
        try await withFaults { pool, faulty, database in
            try await pool.add(["a"])
            faulty.spoil("_bulk_docs", .accepted, .refused(500))
            #expect(try await pool.claim(1, as: worker("w")).isEmpty)
            #expect(try await token("a", database).state == .locked, "it waits for its lease")
        }
    }

    @Test("rows that fail keep none of the others from being claimed", arguments: ["timeout", "forbidden"])
    func failedRows(word: String) async throws {
        try await withFaults { pool, faulty, database in
            try await pool.add(["a", "b", "c"])
            faulty.spoil("_bulk_docs", .rows(["b": word]))
            let claims = try await pool.claim(3, as: worker("w"))
            #expect(Set(claims.map(\.token.id)) == ["a", "c"])
            #expect(try await token("b", database).state == .todo)
        }
    }

    @Test("a row that failed although its lock was written is found to be ours")
    func failedAndWritten() async throws {
        try await withFaults { pool, faulty, database in
            try await pool.add(["a", "b"])
            faulty.spoil("_bulk_docs", .doneButRows(["b": "timeout"]))
            let claims = try await pool.claim(2, as: worker("w"))
            #expect(Set(claims.map(\.token.id)) == ["a", "b"])
            for claim in claims { #expect(try await token(claim.token.id, database).lease?.id == claim.lease.id) }
        }
    }

    @Test(
        "locks that were written before the node was lost are found to be ours",
        arguments: [FaultyServer.Fault.doneButCut, .doneButAnswered(500), .doneButAnswered(503)], [false, true])
    func lostAnswer(fault: FaultyServer.Fault, confirms: Bool) async throws {
        try await withFaults(confirms: confirms) { pool, faulty, database in
            try await pool.add(["a", "b"])
            faulty.spoil("_bulk_docs", fault)
            let claims = try await pool.claim(2, as: worker("w"))
            #expect(Set(claims.map(\.token.id)) == ["a", "b"])
            for claim in claims { #expect(try await token(claim.token.id, database).revision == claim.token.revision) }
        }
    }

    @Test("locks that were not written leave the tokens free", arguments: [FaultyServer.Fault.cut, .refused(500)])
    func lostRequest(fault: FaultyServer.Fault) async throws {
        try await withFaults { pool, faulty, database in
            try await pool.add(["a"])
            faulty.spoil("_bulk_docs", fault)
            // Nothing is ours; the window reads on and claims it.
            let claims = try await pool.claim(1, as: worker("w"))
            #expect(claims.count == 1)
            #expect(try await token("a", database).pool.attempts == 1)
        }
    }

    @Test("429 is waited for: claimed, renewed, finished and handed back all the same")
    func slowDown() async throws {
        try await withFaults { pool, faulty, database in
            try await pool.add(["a", "b"])
            faulty.spoil("_bulk_docs", .refused(429))
            let claims = try await pool.claim(2, as: worker("w"))
            #expect(claims.count == 2)
            faulty.spoil("_bulk_docs", .refused(429), .refused(429))
            for renewal in try await pool.renew(claims) {
                guard case .renewed = renewal else { throw TestFailure("not renewed") }
            }
            faulty.spoil("_bulk_docs", .refused(429))
            _ = try await pool.finish(claims[0], good)
            faulty.spoil("_bulk_docs", .refused(429))
            try await pool.release([claims[1]])
            let states = try await [token(claims[0].token.id, database), token(claims[1].token.id, database)]
            #expect(states.map(\.state) == [.done, .todo])
        }
    }

    @Test("a claim that can not be read back is handed back")
    func unconfirmed() async throws {
        try await withFaults(confirms: true) { pool, faulty, database in
            try await pool.add(["a"])
            faulty.spoil("_all_docs", .refused(500))
            await #expect(throws: CouchDBError.self) { try await pool.claim(1, as: worker("w")) }
            #expect(try await token("a", database).state == .todo)
        }
    }

    // Renewing

    @Test("a token whose renewal is refused again and again keeps no other from being renewed")
    func renewalRows() async throws {
        try await withFaults { pool, faulty, database in
            try await pool.add(["a", "b", "c"])
            var claims = try await pool.claim(3, as: worker("w"), lease: .seconds(60)).sorted {
                $0.token.id < $1.token.id
            }
            for length in [600, 1200] {
                // The second time the claims are those of the first renewal, whose rows are on newer revisions by then.
                faulty.spoil("_bulk_docs", .rows(["b": "internal_server_error"]))
                let renewals = try await pool.renew(claims, for: .seconds(length))
                for (index, renewal) in renewals.enumerated() {
                    switch renewal {
                    case .renewed(let claim): claims[index] = claim
                    case .failed: #expect(claims[index].token.id == "b")
                    case .lost: Issue.record("lost")
                    }
                }
                for id in ["a", "c"] {
                    let until = try #require(try await token(id, database).lease?.until)
                    #expect(until - pool.clock.now() > .seconds(length - 60))
                }
            }
            // As a worker does whose answer was lost: on revisions of before.
            let stale = claims
            _ = try await pool.renew(claims, for: .seconds(2000))
            faulty.spoil("_bulk_docs", .rows(["b": "internal_server_error"]))
            let kinds = try await pool.renew(stale, for: .seconds(3000)).map { renewal in
                if case .renewed = renewal { "renewed" } else { "not" }
            }
            #expect(kinds == ["renewed", "not", "renewed"])
        }
    }

    @Test(
        "a renewal whose answer was lost is written again, and the token stays ours",
        arguments: [FaultyServer.Fault.doneButCut, .doneButAnswered(500), .cut, .refused(500)])
    func lostRenewal(fault: FaultyServer.Fault) async throws {
        try await withFaults { pool, faulty, database in
            try await pool.add(["a"])
            let claims = try await pool.claim(1, as: worker("w"), lease: .seconds(60))
            faulty.spoil("_bulk_docs", fault)
            await #expect(throws: CouchDBError.self) { try await pool.renew(claims, for: .seconds(600)) }
            guard case .renewed(let renewed)? = try await pool.renew(claims, for: .seconds(900)).first else {
                throw TestFailure("not renewed")
            }
            #expect(try await token("a", database).lease == renewed.lease)
        }
    }

    @Test("a renewal that was only accepted does not count, for other nodes may see the lease lapse; the next one does")
    func acceptedRenewal() async throws {
        try await withFaults { pool, faulty, _ in
            try await pool.add(["a"])
            let claims = try await pool.claim(1, as: worker("w"), lease: .seconds(60))
            faulty.spoil("_bulk_docs", .accepted)
            guard case .failed(let error)? = try await pool.renew(claims, for: .seconds(600)).first else {
                throw TestFailure("renewed by too few")
            }
            #expect((error as? CouchDBError)?.isUncertain == true)
            guard case .renewed? = try await pool.renew(claims, for: .seconds(600)).first else {
                throw TestFailure("not renewed")
            }
        }
    }

    @Test("on a cluster a claim whose answer was lost counts only when enough nodes take it once more")
    func lostAndWeak() async throws {
        try await withFaults(confirms: true) { pool, faulty, database in
            try await pool.add(["a"])
            faulty.spoil("_bulk_docs", .doneButCut, .accepted)
            let claims = try await pool.claim(1, as: worker("w"))
            // Handed back it is todo, so the same call claims it again.
            #expect(claims.count == 1)
            let token = try await token("a", database)
            #expect(token.pool.history.map(\.outcome) == [.released])
            #expect(claims.first?.lease.id != token.pool.history.first?.lease)
        }
    }

    @Test("on a cluster a claim that was told of a conflict leaves no version of its own behind")
    func toldOfConflict() async throws {
        try await withFaults(confirms: true) { pool, faulty, database in
            try await pool.add(["b"])
            // A rival's claim came first to most copies: ours is refused, but written beside it.
            var free = Token(id: "a")
            free.revision = Revision("2-" + String(repeating: "f", count: 32))
            var rival = Token(id: "a")
            rival.revision = Revision("2-" + String(repeating: "1", count: 32))
            rival.lock = pool.clock.now().seconds - 100
            rival.pool.lease = Lease(
                id: "rival", worker: "rival", since: rival.lock, until: pool.clock.now() + .seconds(300))
            _ = try await database.bulkSave([free.document, rival.document], newEdits: false)
            faulty.spoil("_bulk_docs", .doneButRows(["a": "conflict"]))
            #expect(try await pool.claim(2, as: worker("w")).map(\.token.id) == ["b"])
            let current = try await database.document("a", options: .conflicts)
            #expect(current.conflicts.isEmpty)
            #expect(Token(current).lease?.id == "rival")
        }
    }

    // Finishing and handing back

    @Test("results whose row fails are told so, when all others are written", arguments: ["timeout", "forbidden"])
    func failedResults(word: String) async throws {
        try await withFaults { pool, faulty, database in
            try await pool.add(["a", "b", "c"])
            let claims = try await pool.claim(3, as: worker("w"))
            let results = claims.map { (claim: $0, result: good) }
            faulty.spoil("_bulk_docs", .rows(["b": word]))
            await #expect(throws: CouchDBError.self) { try await pool.finish(results) }
            #expect(try await token("a", database).state == .done)
            #expect(try await token("b", database).state == .locked)
            #expect(try await token("c", database).state == .done)
            // Once more: what is written is recognised, and the rest written.
            for outcome in try await pool.finish(results) {
                guard case .saved(let token) = outcome else { throw TestFailure("superseded") }
                #expect(token.state == .done)
            }
            #expect(try await token("a", database).pool.history.count == 1)
        }
    }

    @Test(
        "a result whose answer was lost is written once",
        arguments: [FaultyServer.Fault.doneButCut, .doneButAnswered(500), .accepted, .cut, .refused(503)])
    func lostResult(fault: FaultyServer.Fault) async throws {
        try await withFaults { pool, faulty, database in
            try await pool.add(["a"])
            let claim = try #require(try await pool.claim(1, as: worker("w")).first)
            faulty.spoil("_bulk_docs", fault)
            do { _ = try await pool.finish(claim, good) } catch let error as CouchDBError {
                #expect(error.isUncertain)
            }
            guard case .saved = try await pool.finish(claim, good) else { throw TestFailure("superseded") }
            let token = try await token("a", database)
            #expect(token.state == .done)
            #expect(token.pool.history.map(\.outcome) == [.done])
        }
    }

    @Test("a node that is lost while a conflict is looked into leaves only that result in doubt")
    func lostInTheMiddle() async throws {
        try await withFaults { pool, faulty, database in
            try await pool.add(["a", "b"])
            let claims = try await pool.claim(2, as: worker("w")).sorted { $0.token.id < $1.token.id }
            var token = try await token("a", database)
            token["note"] = "changed by somebody else"
            try await database.save(token.document)
            faulty.spoil("_all_docs", .refused(500))
            let results = claims.map { (claim: $0, result: good) }
            await #expect(throws: CouchDBError.self) { try await pool.finish(results) }
            #expect(try await self.token("b", database).state == .done)
            #expect(try await pool.finish(results).count == 2)
            #expect(try await self.token("a", database).state == .done)
        }
    }

    @Test("tokens that can not be handed back keep none of the others")
    func failedReturns() async throws {
        try await withFaults { pool, faulty, database in
            try await pool.add(["a", "b", "c"])
            let claims = try await pool.claim(3, as: worker("w"))
            faulty.spoil("_bulk_docs", .rows(["a": "internal_server_error"]))
            await #expect(throws: CouchDBError.self) { try await pool.release(claims) }
            #expect(try await token("a", database).state == .locked)
            #expect(try await token("b", database).state == .todo)
            #expect(try await token("c", database).state == .todo)
            faulty.spoil("_bulk_docs", .doneButCut)
            await #expect(throws: CouchDBError.self) { try await pool.release(claims) }
            // Only the one that was still ours: the others' ends are in their histories.
            try await pool.release(claims)
            #expect(try await token("a", database).scrubCount == 1)
            #expect(try await token("b", database).scrubCount == 1)
        }
    }

    @Test("a sweep tells of tokens that could not be written, and takes back the others")
    func sweep() async throws {
        try await withFaults { pool, faulty, database in
            try await pool.add(["a", "b"])
            _ = try await pool.claim(2, as: worker("w"), lease: .seconds(1))
            faulty.spoil("_bulk_docs", .rows(["a": "timeout"]))
            let later = pool.clock.now() + .seconds(60)
            let report = try await pool.sweep(now: later)
            #expect(report.returned == ["b"])
            #expect(report.failures.count == 1)
            #expect(try await pool.sweep(now: later).returned == ["a"])
        }
    }
}
