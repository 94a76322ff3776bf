import CouchDB
import CouchDocument
import DesignDocuments
import Synchronization
import TestSupport
import Testing
import TokenPool

/// Results for the next claim, and what became of them.
private final class Bench: Sendable {
    /// Protects what waits and what was heard.
    private let state = Mutex<(waiting: [FinishedClaim], heard: [Riders.Arrival])>(([], []))

    func put(_ results: [FinishedClaim]) { state.withLock { $0.waiting = results } }

    var heard: [Riders.Arrival] { state.withLock(\.heard) }

    var riders: Riders {
        Riders {
            self.state.withLock { state in
                defer { state.waiting = [] }
                return state.waiting
            }
        } arrive: { arrival in
            self.state.withLock { $0.heard.append(arrival) }
        }
    }
}

@Suite("Results that go with the next locks", .timeLimit(.minutes(2)))
struct RidersTests {
    private let good = TokenResult(exitCode: 0, started: Timestamp(seconds: 1), ended: Timestamp(seconds: 2))

    private func claim(
        _ count: Int, _ pool: Pool, _ chooser: inout QueueChooser, _ bench: Bench
    ) async throws -> [ClaimedToken] {
        try await pool.claim(
            count, offering: Offer(cores: count), as: worker("w"), lease: .seconds(300), chooser: &chooser,
            taking: bench.riders)
    }

    @Test("one request writes both")
    func together() async throws {
        try await withCountedPool { pool, counter in
            try await pool.add((0..<8).map { "t\($0)" })
            var chooser = QueueChooser()
            let bench = Bench()
            let first = try await claim(4, pool, &chooser, bench)
            #expect(first.count == 4 && bench.heard.isEmpty)
            bench.put(first.map { ($0, good) })
            _ = counter.take()
            let second = try await claim(4, pool, &chooser, bench)
            #expect(counter.take() == ["POST /\(pool.database.name)/_bulk_docs"])
            #expect(second.count == 4)
            #expect(Set((first + second).map(\.token.id)).count == 8)
            let outcomes = try #require(try bench.heard.first?.get())
            #expect(outcomes.count == 4)
            for (outcome, claim) in zip(outcomes, first) {
                guard case .saved(let token) = try outcome.get() else { throw TestFailure("superseded") }
                #expect(token.id == claim.token.id && token.state == .done)
            }
            for claim in first { #expect(try await pool.token(claim.token.id).state == .done) }
            for claim in second { #expect(try await pool.token(claim.token.id).lease?.id == claim.lease.id) }
        }
    }

    @Test("each stands for itself: changed by others it is merged, taken by others superseded")
    func forestalled() async throws {
        try await withPool { pool, _ in
            try await pool.add((0..<4).map { "t\($0)" })
            var chooser = QueueChooser()
            let bench = Bench()
            let first = try await claim(2, pool, &chooser, bench)
            try await pool.update(first[0].token.id) { token in
                token["note"] = "look here"
                return true
            }
            try await pool.scrub(first[1].token.id)
            bench.put(first.map { ($0, good) })
            #expect(try await claim(2, pool, &chooser, bench).count == 2)
            let outcomes = try #require(try bench.heard.first?.get())
            guard case .saved(let token) = try outcomes[0].get() else { throw TestFailure("superseded") }
            #expect(token.state == .done && token["note"] == "look here")
            guard case .superseded = try outcomes[1].get() else { throw TestFailure("it was written over") }
        }
    }

    @Test("of a token that is claimed in that moment the result goes first, for itself")
    func sameToken() async throws {
        try await withPool { pool, clock in
            try await pool.add(["a", "b"])
            let old = try await [pool.token("a"), pool.token("b")]
            let held = try #require(
                try await pool.claim(2, as: worker("w")).first { $0.token.id == "a" })
            try await pool.scrub("b")
            // Rows that were read before the tokens were claimed, and are seen only now.
            var random = SystemRandomNumberGenerator()
            var window = ClaimWindow()
            guard case .read(let asked) = window.next(2, using: &random) else { throw TestFailure("no read") }
            window.fill(
                [(.null, old[0]), (.null, try await pool.token("b"))], asked: asked, totalRows: 2, now: clock.now(),
                using: &random)
            let bench = Bench()
            bench.put([(held, good)])
            let claims = try await pool.claim(
                2, from: .view(.picasTodo), as: worker("w"), lease: .seconds(300), window: &window,
                taking: bench.riders)
            #expect(claims.map(\.token.id) == ["b"])
            #expect(try bench.heard.first?.get().count == 1)
            #expect(try await pool.token("a").state == .done)
        }
    }

    @Test(
        "when a request fails the results are told so, and nothing is written twice",
        arguments: [FaultyServer.Fault.refused(413), .cut, .doneButCut, .doneButAnswered(500)])
    func faults(_ fault: FaultyServer.Fault) async throws {
        let server = try await TestServer.shared()
        try await withDatabase(on: server) { database in
            for design in DesignDocuments.all { try await database.push(design) }
            let faulty = FaultyServer(server)
            var configuration = try ServerConfiguration(url: faulty.url)
            configuration.retry.pause = .milliseconds(1)
            let client = try Server(configuration)
            let pool = Pool(database: client.database(database.name))
            try await pool.add((0..<4).map { "t\($0)" })
            var chooser = QueueChooser()
            let bench = Bench()
            let first = try await claim(2, pool, &chooser, bench)
            let results = first.map { (claim: $0, result: good) }
            bench.put(results)
            faulty.spoil("_bulk_docs", fault)
            let second = try await claim(2, pool, &chooser, bench)
            // Of locks that were cut off before they were written the same call takes others, or the same once more.
            #expect(second.count == 2)
            #expect(throws: (any Error).self) { try bench.heard.first?.get() }
            for outcome in try await pool.finish(results) {
                guard case .saved(let token) = outcome else { throw TestFailure("superseded") }
                #expect(token.state == .done && token.pool.history.count == 1)
            }
            for claim in second { #expect(try await pool.token(claim.token.id).lease?.id == claim.lease.id) }
            await client.shutdown()
        }
    }

    @Test("where there is nothing to claim they stay where they are")
    func nothing() async throws {
        try await withPool { pool, _ in
            try await pool.add(["a"])
            var chooser = QueueChooser()
            let bench = Bench()
            let first = try await claim(1, pool, &chooser, bench)
            bench.put(first.map { ($0, good) })
            #expect(try await claim(1, pool, &chooser, bench).isEmpty)
            #expect(bench.heard.isEmpty)
            #expect(try await pool.token("a").state == .locked)
        }
    }

    @Test("rows that were read ahead, while locks were written, are claimed like others, each once")
    func ahead() async throws {
        try await withPool { pool, _ in
            try await pool.add((0..<400).map { "t\($0)" })
            var chooser = QueueChooser()
            let bench = Bench()
            var ids: Set<String> = []
            while ids.count < 400 {
                let claims = try await claim(20, pool, &chooser, bench)
                guard !claims.isEmpty else { throw TestFailure("empty after \(ids.count)") }
                for claim in claims { #expect(ids.insert(claim.token.id).inserted) }
                bench.put(claims.map { ($0, good) })
            }
            #expect(try bench.heard.reduce(0) { try $0 + $1.get().count } >= 380)
        }
    }
}
