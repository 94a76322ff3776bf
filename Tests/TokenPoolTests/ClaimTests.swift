import CouchDB
import CouchDocument
import Testing
import TokenPool

@Suite("Claiming")
struct ClaimTests {
    @Test("many workers at once never hold the same token, and together they get all")
    func exclusive() async throws {
        try await withPool { pool, _ in
            let ids = (0..<300).map { "t\($0)" }
            try await pool.add(ids)
            let held = try await withThrowingTaskGroup(of: [String].self) { group in
                for number in 0..<16 {
                    group.addTask {
                        var mine: [String] = []
                        var window = ClaimWindow()
                        while true {
                            let claims = try await pool.claim(
                                4, from: .view(.picasTodo), as: worker("w\(number)"), lease: .seconds(300),
                                window: &window)
                            if claims.isEmpty { return mine }
                            mine += claims.map(\.token.id)
                        }
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(held.count == 300)
            #expect(Set(held) == Set(ids))
        }
    }

    @Test("n tokens cost two requests, and the rows left over serve the next claim")
    func bulk() async throws {
        try await withPool { pool, _ in
            try await pool.add((0..<20).map { "t\($0)" })
            var window = ClaimWindow()
            for _ in 0..<2 {
                let claims = try await pool.claim(
                    10, from: .view(.picasTodo), as: worker("a"), lease: .seconds(300), window: &window)
                #expect(claims.count == 10)
            }
            #expect(try await pool.claim(10, as: worker("a")).isEmpty)
        }
    }

    @Test("the document says who holds it, from when and until when")
    func document() async throws {
        try await withPool { pool, clock in
            try await pool.add(["a"]) { $0.pool.leaseLength = .seconds(60) }
            let claim = try #require(try await pool.claim(1, as: worker("w")).first)
            let token = try await pool.token("a")
            #expect(token.lock == clock.now().seconds)
            #expect(token.hostname == "host-w")
            #expect(token.lease?.id == claim.lease.id)
            #expect(token.lease?.until == clock.now() + .seconds(60))
            #expect(token.pool.attempts == 1)
        }
    }

    @Test("ids with spaces, percent, plus, slashes, unicode and newlines are claimed and finished like others")
    func oddIDs() async throws {
        try await withPool { pool, clock in
            let ids = ["a b", "100%", "a+b&c#d", "a/b/c", "żółć 🐟", "new\nline", "\"quoted\"", "trailing "]
            try await pool.add(ids)
            let claims = try await pool.claim(20, as: worker("w"))
            #expect(Set(claims.map(\.token.id)) == Set(ids))
            let now = clock.now()
            for outcome in try await pool.finish(
                claims.map { ($0, TokenResult(exitCode: 0, started: now, ended: now)) })
            {
                guard case .saved(let token) = outcome else { throw TestFailure("superseded") }
                #expect(token.state == .done)
            }
        }
    }

    @Test("by priority, the best goes first")
    func priority() async throws {
        try await withPool { pool, _ in
            for priority in [0, 5, -3, 9] {
                try await pool.add(["p\(priority)"]) {
                    $0.pool.set = "s"
                    $0.pool.priority = priority
                }
            }
            var order: [String] = []
            var window = ClaimWindow(order: .asViewed)
            for _ in 0..<4 {
                order += try await pool.claim(
                    1, from: .set("s"), as: worker("w"), lease: .seconds(300), window: &window
                ).map(\.token.id)
            }
            #expect(order == ["p9", "p5", "p0", "p-3"])
        }
    }

    @Test("without the view says which one is missing and what to do")
    func missingView() async throws {
        try await withPool { pool, _ in
            await #expect {
                try await pool.claim(1, from: ViewName(design: "none", view: "todo"), as: worker("w"))
            } throws: {
                "\($0)".contains("none/todo") && "\($0)".contains("tokenpool views push")
            }
        }
    }

    @Test("tokens of PiCaS without a pool object are claimed, and keep every field they have")
    func picas() async throws {
        try await withPool { pool, _ in
            let document = Document(
                id: "picas_1",
                fields: [
                    "type": "token", "lock": 0, "done": 0, "hostname": "", "scrub_count": 0, "input": "echo 1",
                    "exit_code": "", "cores": 4, "nested": try JSON(parsing: #"{"x":[1,2.5]}"#),
                ])
            try await pool.database.save(document)
            let claim = try #require(try await pool.claim(1, as: worker("w")).first)
            #expect(claim.token["cores"] == 4)
            #expect(claim.token["nested"]?.description == #"{"x":[1,2.5]}"#)
        }
    }
}

struct TestFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
