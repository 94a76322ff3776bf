import CouchDB
import CouchDocument
import Testing
import TokenPool

@Suite("Holding and finishing")
struct HoldTests {
    private func result(_ clock: ManualClock, _ code: Int = 0) -> TokenResult {
        TokenResult(exitCode: code, started: clock.now(), ended: clock.now())
    }

    private func claimed(_ pool: Pool, _ name: String = "w") async throws -> ClaimedToken {
        try #require(try await pool.claim(1, as: worker(name), lease: .seconds(300)).first)
    }

    @Test("a renewal moves the end of the lease")
    func renew() async throws {
        try await withPool { pool, clock in
            try await pool.add(["a"])
            let claim = try await claimed(pool)
            clock.advance(.seconds(100))
            guard case .renewed(let renewed) = try await pool.renew([claim], for: .seconds(300))[0] else {
                throw TestFailure("lost")
            }
            #expect(renewed.lease.until == clock.now() + .seconds(300))
            #expect(try await pool.token("a").lease?.until == renewed.lease.until)
        }
    }

    @Test("a harmless change by somebody else is kept, and the result written over it")
    func merge() async throws {
        try await withPool { pool, clock in
            try await pool.add(["a"])
            let claim = try await claimed(pool)
            try await pool.update("a") { token in
                token["note"] = "look here"
                return true
            }
            guard case .saved(let token) = try await pool.finish(claim, result(clock)) else {
                throw TestFailure("superseded")
            }
            #expect(token.state == .done)
            #expect(token["note"] == "look here")
            #expect(try await pool.token("a")["note"] == "look here")
        }
    }

    @Test("a lapsed token goes back and its late result overwrites nothing, but is kept")
    func superseded() async throws {
        try await withPool { pool, clock in
            try await pool.add(["a"])
            let first = try await claimed(pool, "first")
            clock.advance(.seconds(400))
            #expect(try await pool.sweep().returned == ["a"])
            let second = try await claimed(pool, "second")
            #expect(second.attempt == 2)
            guard case .superseded = try await pool.finish(first, result(clock, 1)) else {
                throw TestFailure("the late result was written")
            }
            #expect(try await pool.keep(result(clock, 1), of: first))
            guard case .saved(let token) = try await pool.finish(second, result(clock, 0)) else {
                throw TestFailure("the holder could not finish")
            }
            #expect(token.state == .done)
            #expect(token.exitCode == 0)
            #expect(token.document.attachment("attempt-\(first.lease.id).json") != nil)
            #expect(token.pool.history.map(\.outcome) == [.lapsed, .done])
        }
    }

    @Test("a result is dropped where the set says so, and while a worker without a lease holds the token")
    func dropped() async throws {
        try await withPool { pool, clock in
            try await pool.add(["a"]) { $0.pool.dropsSuperseded = true }
            let first = try await claimed(pool, "first")
            try await pool.scrub("a")
            #expect(try await pool.keep(result(clock), of: first) == false)
        }
        try await withPool { pool, clock in
            try await pool.add(["b"])
            let second = try await claimed(pool, "second")
            try await pool.update("b") { token in
                // What PiCaS writes over a token that it read a moment ago.
                token.lock = 1_699_999_999
                token.hostname = "picas"
                return true
            }
            guard case .superseded = try await pool.finish(second, result(clock)) else {
                throw TestFailure("a PiCaS worker's token was taken from it")
            }
            #expect(try await pool.keep(result(clock), of: second) == false)
        }
    }

    @Test("writing the same result twice changes nothing: an answer that was lost on the way")
    func repeated() async throws {
        try await withPool { pool, clock in
            try await pool.add(["a"])
            let claim = try await claimed(pool)
            _ = try await pool.finish(claim, result(clock))
            let revision = try await pool.token("a").revision
            guard case .saved = try await pool.finish(claim, result(clock)) else { throw TestFailure("superseded") }
            #expect(try await pool.token("a").revision == revision)
        }
    }

    @Test("a token that somebody reset or deleted is lost to its holder")
    func lost() async throws {
        try await withPool { pool, clock in
            try await pool.add(["a", "b"])
            let claims = try await pool.claim(2, as: worker("w"))
            try await pool.update("a") { token in
                token.reset(at: clock.now())
                return true
            }
            let other = try await pool.token("b")
            try await pool.database.delete("b", revision: try #require(other.revision))
            for renewal in try await pool.renew(claims) {
                if case .renewed = renewal { Issue.record("a lost token was renewed") }
            }
        }
    }

    @Test("tokens handed back are todo at once, with the try given back")
    func release() async throws {
        try await withPool { pool, _ in
            try await pool.add(["a"]) { $0.pool.maxAttempts = 1 }
            try await pool.release([claimed(pool)], reason: "SIGTERM")
            let token = try await pool.token("a")
            #expect(token.state == .todo)
            #expect(token.scrubCount == 1)
            #expect(token.pool.history.map(\.reason) == ["SIGTERM"])
            _ = try await claimed(pool)
        }
    }

    @Test("a failure that is final is PiCaS' 99/99 with an entry")
    func fail() async throws {
        try await withPool { pool, _ in
            try await pool.add(["a"])
            try await pool.fail(try await claimed(pool), "no such sandbox")
            let token = try await pool.token("a")
            #expect((token.lock, token.done) == (99, 99))
            #expect(token.errors.last?["message"] == "no such sandbox")
        }
    }
}

@Suite("Sweeping")
struct SweepTests {
    @Test("reads only what lapsed, and spares what PiCaS took over meanwhile")
    func sweep() async throws {
        try await withPool { pool, clock in
            try await pool.add(["old", "fresh", "foreign"])
            let claims = try await pool.claim(3, as: worker("w"), lease: .seconds(60))
            clock.advance(.seconds(50))
            _ = try await pool.renew(claims.filter { $0.token.id == "fresh" }, for: .seconds(60))
            try await pool.update("foreign") { token in
                token.lock += 40
                token.hostname = "picas"
                return true
            }
            clock.advance(.seconds(20))
            let report = try await pool.sweep()
            #expect(report.returned == ["old"])
            #expect(try await pool.token("old").state == .todo)
            #expect(try await pool.token("old").scrubCount == 1)
            #expect(try await pool.token("fresh").state == .locked)
            #expect(try await pool.token("foreign").state == .locked)
        }
    }

    @Test("a token whose tries are spent is an error, also in PiCaS' view")
    func spent() async throws {
        try await withPool { pool, clock in
            try await pool.add(["a"]) { $0.pool.maxAttempts = 1 }
            _ = try await pool.claim(1, as: worker("w"), lease: .seconds(60))
            clock.advance(.seconds(100))
            #expect(try await pool.sweep().givenUp == ["a"])
            #expect(try await pool.token("a").state == .error)
            let rows = try await pool.database.view(ViewName(design: "Monitor", view: "error")).rows
            #expect(rows.map(\.id) == ["a"])
        }
    }

    @Test("many sweepers at once take each token back once")
    func concurrent() async throws {
        try await withPool { pool, clock in
            try await pool.add((0..<50).map { "t\($0)" })
            while try await !pool.claim(50, as: worker("w"), lease: .seconds(60)).isEmpty {}
            clock.advance(.seconds(100))
            let returned = try await withThrowingTaskGroup(of: [String].self) { group in
                for _ in 0..<6 { group.addTask { try await pool.sweep().returned } }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(returned.count == 50)
            #expect(Set(returned).count == 50)
        }
    }

    @Test("a retry that waits is in no todo view before its time, then it is")
    func due() async throws {
        try await withPool { pool, clock in
            try await pool.add(["a"]) {
                $0.pool.maxAttempts = 2
                $0.pool.retryDelay = .seconds(60)
            }
            let claim = try #require(try await pool.claim(1, as: worker("w")).first)
            _ = try await pool.finish(claim, TokenResult(exitCode: 1, started: clock.now(), ended: clock.now()))
            #expect(try await pool.claim(1, as: worker("w")).isEmpty)
            #expect(try await pool.sweep().isEmpty)
            clock.advance(.seconds(61))
            #expect(try await pool.sweep().released == ["a"])
            #expect(try await pool.claim(1, as: worker("w")).count == 1)
        }
    }

    @Test("a token that comes after others is freed by the last of them")
    func dependents() async throws {
        try await withPool { pool, clock in
            try await pool.add(["a", "b"])
            try await pool.add(["c"]) {
                $0.lock = TokenState.waitingLock
                $0.pool.after = ["a", "b"]
            }
            #expect(try await pool.releaseDependents(after: nil).awaited == 2)
            let claims = try await pool.claim(5, as: worker("w"))
            #expect(claims.count == 2)
            let done = TokenResult(exitCode: 0, started: clock.now(), ended: clock.now())
            _ = try await pool.finish(claims[0], done)
            #expect(try await pool.releaseDependents(of: [claims[0].token.id]).isEmpty)
            _ = try await pool.finish(claims[1], done)
            #expect(try await pool.releaseDependents(of: [claims[1].token.id]).released == ["c"])
            #expect(try await pool.token("c").state == .todo)
        }
    }
}
