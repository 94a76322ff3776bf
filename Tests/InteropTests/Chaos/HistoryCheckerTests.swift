import CouchDocument
import Testing
import TokenPool

@Suite("The checker of histories")
struct HistoryCheckerTests {
    private let worker = WorkerIdentity(name: "w", hostname: "h")

    /// The life of a token, written step by step.
    private struct Life {
        var token: Token
        var checker: HistoryChecker
        var chain: [Revision] = []

        init(limit: Int = 3) {
            token = Token(id: "t")
            token.pool.maxAttempts = limit
            checker = HistoryChecker(expecting: ["t"])
            write { _ in }
        }

        mutating func write(_ change: (inout Token) -> Void) {
            change(&token)
            let revision = Revision(generation: chain.count + 1, hash: "h\(chain.count)")
            chain.append(revision)
            token.revision = revision
            checker.feed(token)
            checker.feed(chain: chain, of: "t")
        }

        mutating func claim(_ lease: String, at time: Int, until: Int) {
            write { token in
                token.lock = time
                token.pool.attempts += 1
                token.pool.lease = Lease(id: lease, worker: "w", since: time, until: Timestamp(seconds: until))
            }
        }

        mutating func end(_ lease: String, _ outcome: Attempt.Outcome, at time: Int, isLast: Bool = false) {
            write { token in
                token.pool.lease = nil
                token.pool.history.append(
                    Attempt(
                        lease: lease, worker: "w", host: "h", started: Timestamp(seconds: token.lock),
                        ended: Timestamp(seconds: time), outcome: outcome))
                if outcome == .released { token.pool.attempts -= 1 }
                if outcome == .done || isLast {
                    token.done = time
                    token.exitCode = outcome == .done ? 0 : 1
                } else {
                    token.lock = 0
                }
            }
        }

        var violations: [HistoryChecker.Violation] { checker.violations() }
    }

    @Test("finds nothing in a life as it should be: lapsed, handed back, done, the late result kept")
    func good() {
        var life = Life()
        life.claim("a", at: 100, until: 110)
        life.write { $0.pool.lease?.until = Timestamp(seconds: 120) }
        life.end("a", .lapsed, at: 126)
        life.claim("b", at: 130, until: 140)
        life.end("b", .released, at: 135)
        life.claim("c", at: 136, until: 150)
        life.checker.note(run: "c", of: "t")
        life.checker.note(survivor: "c", of: "t")
        life.end("c", .done, at: 140)
        life.write { $0.attach(.init(name: "attempt-a.json", contentType: "application/json", bytes: [])) }
        life.checker.note(survivor: "a", of: "t")
        life.checker.note(superseded: "a", of: "t", kept: true)
        #expect(life.violations == [])
        #expect(life.checker.leases == 3)
        #expect(life.checker.unseen == 0)
    }

    @Test("finds two leases at one time, whether the lock was taken over or taken back too early")
    func overlap() {
        var stolen = Life()
        stolen.claim("a", at: 100, until: 110)
        stolen.claim("b", at: 105, until: 120)
        stolen.end("b", .done, at: 110)
        #expect(stolen.violations.contains(.overlap(token: "t", first: "a", second: "b")))

        var early = Life()
        early.claim("a", at: 100, until: 110)
        early.end("a", .lapsed, at: 109)
        early.claim("b", at: 109, until: 120)
        early.end("b", .done, at: 110)
        #expect(early.violations == [.takenFromHolder(token: "t", lease: "a")])
    }

    @Test("finds it also when the write between was not seen, by the tries in the next one")
    func gap() {
        var life = Life()
        life.claim("a", at: 100, until: 110)
        // Taken back at 109 and claimed again, of which only the second write was seen.
        life.write { token in
            token.pool.history.append(
                Attempt(
                    lease: "a", worker: "w", host: "h", started: Timestamp(seconds: 100),
                    ended: Timestamp(seconds: 109), outcome: .lapsed))
            token.lock = 109
            token.pool.attempts = 2
            token.pool.lease = Lease(id: "b", worker: "w", since: 109, until: Timestamp(seconds: 120))
        }
        life.end("b", .done, at: 110)
        life.checker.feed(chain: life.chain + [Revision(generation: 9, hash: "not seen")], of: "t")
        #expect(life.violations == [.takenFromHolder(token: "t", lease: "a")])
        #expect(life.checker.unseen == 1)
    }

    @Test("finds a token that ended twice, or went on after its end")
    func twice() {
        var again = Life()
        again.claim("a", at: 100, until: 110)
        again.end("a", .done, at: 105)
        again.claim("b", at: 106, until: 120)
        again.end("b", .done, at: 110)
        #expect(again.violations == [.finishedTwice(token: "t")])

        var open = Life()
        open.claim("a", at: 100, until: 110)
        open.end("a", .failed, at: 105, isLast: true)
        open.write { $0.done = 0 }
        #expect(open.violations.contains(.finishedTwice(token: "t")))
        #expect(open.violations.contains(.lost(token: "t")))
    }

    @Test("finds tokens that are lost: never seen, deleted, still open, given up too early")
    func lost() {
        #expect(HistoryChecker(expecting: ["x"]).violations() == [.lost(token: "x")])
        #expect(Life().violations == [.lost(token: "t")])
        var deleted = Life()
        deleted.write { $0["_deleted"] = true }
        #expect(deleted.violations == [.lost(token: "t")])
        var early = Life(limit: 2)
        early.claim("a", at: 100, until: 110)
        early.end("a", .failed, at: 105, isLast: true)
        #expect(early.violations == [.lost(token: "t")])
        var spent = Life(limit: 1)
        spent.claim("a", at: 100, until: 110)
        spent.end("a", .failed, at: 105, isLast: true)
        #expect(spent.violations == [])
    }

    @Test("finds more tries than are allowed, by the count and by the tries themselves")
    func attempts() {
        var counted = Life(limit: 1)
        for (lease, outcome) in [("a", Attempt.Outcome.failed), ("b", .done)] {
            counted.claim(lease, at: 100, until: 110)
            counted.end(lease, outcome, at: 105)
        }
        #expect(counted.violations == [.tooManyAttempts(token: "t", attempts: 2)])
        var hidden = Life(limit: 1)
        for (lease, outcome) in [("a", Attempt.Outcome.failed), ("b", .done)] {
            hidden.claim(lease, at: 100, until: 110)
            hidden.write { $0.pool.attempts = 1 }
            hidden.end(lease, outcome, at: 105)
            hidden.write { $0.pool.attempts = 1 }
        }
        #expect(hidden.violations.contains(.tooManyAttempts(token: "t", attempts: 2)))
    }

    @Test("finds writes that are no longer there, and leases that have no end in the history, or two")
    func vanished() {
        var life = Life()
        life.claim("a", at: 100, until: 110)
        life.end("a", .done, at: 105)
        let whole = life.chain
        life.checker.feed(chain: [whole[0], whole[2]], of: "t")
        #expect(life.violations == [.vanished(token: "t", revision: whole[1].description)])

        var open = Life()
        open.claim("a", at: 100, until: 110)
        open.write {
            $0.pool.lease = nil
            $0.lock = 0
        }
        open.claim("b", at: 120, until: 130)
        open.end("b", .done, at: 125)
        #expect(open.violations == [.leaseWithoutEnd(token: "t", lease: "a")])

        var twice = Life()
        twice.claim("a", at: 100, until: 110)
        twice.end("a", .lapsed, at: 120)
        twice.write { $0.lock = 100 }
        twice.end("a", .done, at: 125)
        #expect(twice.violations == [.endedTwice(token: "t", lease: "a")])
    }

    @Test("finds commands that ran without a lease or twice under one")
    func runs() {
        var life = Life()
        life.claim("a", at: 100, until: 110)
        life.end("a", .done, at: 105)
        life.checker.note(run: "a", of: "t")
        #expect(life.violations == [])
        life.checker.note(run: "a", of: "t")
        life.checker.note(run: "x", of: "t")
        #expect(
            life.violations
                == [.ranWithoutRight(token: "t", lease: "a"), .ranWithoutRight(token: "t", lease: "x")])
    }

    @Test("finds results that came too late and are nowhere, whether or not their pilot told of it")
    func superseded() {
        var life = Life()
        life.claim("a", at: 100, until: 110)
        life.end("a", .lapsed, at: 120)
        life.claim("b", at: 120, until: 140)
        life.end("b", .done, at: 125)
        #expect(life.violations == [], "its pilot died: there is no result")
        var told = life
        told.checker.note(superseded: "a", of: "t", kept: true)
        #expect(told.violations == [.unaccounted(token: "t", lease: "a")])
        var silent = life
        silent.checker.note(survivor: "a", of: "t")
        #expect(silent.violations == [.unaccounted(token: "t", lease: "a")])
        var dropped = life
        dropped.checker.note(superseded: "a", of: "t", kept: false)
        #expect(dropped.violations == [.unaccounted(token: "t", lease: "a")])
        dropped.write { $0.pool.dropsSuperseded = true }
        #expect(dropped.violations == [])
    }
}
