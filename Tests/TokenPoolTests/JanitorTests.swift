import CouchDB
import CouchDocument
import Testing

@testable import TokenPool

@Suite("When a janitor looks for what")
struct JanitorScheduleTests {
    private let start = Timestamp(seconds: 1000)

    /// The rounds of so long when nothing is ever found.
    private func idle(_ seconds: Int, foreign: Bool = false, jitter: Double = 0) -> [JanitorSchedule.Round] {
        var schedule = JanitorSchedule(started: start, takesBackForeign: foreign, jitter: jitter)
        var rounds: [JanitorSchedule.Round] = []
        var now = start
        while now < start + .seconds(seconds) {
            if let round = schedule.round(now: now) {
                rounds.append(round)
                schedule.note(round, .done(nextDue: nil, isFull: false, lostRaces: false), now: now)
            } else {
                now = schedule.wake
            }
        }
        return rounds
    }

    @Test(
        "begins with everything, and what workers without leases hold only when the pool wants that",
        arguments: [false, true])
    func begins(foreign: Bool) {
        let first = Set(idle(1, foreign: foreign))
        #expect(first == Set(JanitorSchedule.Round.allCases.filter { foreign || $0 != .foreign }))
    }

    @Test("idle, it costs less than a request in ten seconds", arguments: [0, 0.5, 1.0])
    func idle(jitter: Double) {
        #expect(idle(3600, foreign: true, jitter: jitter).count < 360)
    }

    @Test("what becomes due is looked for when it does, at most two seconds later")
    func due() {
        for jitter in [0, 0.3, 1] {
            var schedule = JanitorSchedule(started: start, jitter: jitter)
            for round in JanitorSchedule.Round.allCases {
                schedule.note(
                    round, .done(nextDue: round == .due ? start + .seconds(7) : nil, isFull: false, lostRaces: false),
                    now: start)
            }
            #expect(schedule.wake >= start + .seconds(7))
            #expect(schedule.wake <= start + .seconds(9))
            #expect(schedule.round(now: schedule.wake) == .due)
        }
    }

    @Test("goes on at once while there is more than a round can do, and keeps away where others do it")
    func more() {
        var schedule = JanitorSchedule(started: start)
        schedule.note(.due, .done(nextDue: nil, isFull: true, lostRaces: false), now: start + .seconds(1))
        #expect(schedule.round(now: start + .seconds(1)) != nil)
        for round in JanitorSchedule.Round.allCases {
            schedule.note(round, .done(nextDue: nil, isFull: true, lostRaces: true), now: start + .seconds(1))
        }
        #expect(schedule.wake >= start + .seconds(41))
    }

    @Test("a server that fails is asked less and less, at least each one and a half minutes")
    func failing() {
        var schedule = JanitorSchedule(started: start, jitter: 1)
        var now = start
        var pauses: [Duration] = []
        for _ in 0..<12 {
            guard let round = schedule.round(now: now) else {
                Issue.record("nothing to do at its own time")
                return
            }
            schedule.note(round, .failed, now: now)
            pauses.append(schedule.wake - now)
            now = schedule.wake
        }
        #expect(pauses == pauses.sorted())
        #expect(pauses.last == .seconds(90))
    }
}

@Suite("Which of several versions of a token stays")
struct ConflictRepairTests {
    private let now = Timestamp(seconds: 5000)

    private func version(_ hash: String, _ change: (inout Token) -> Void) -> Token {
        var token = Token(id: "a")
        token.revision = Revision("2-" + String(repeating: hash, count: 32))
        change(&token)
        return token
    }

    private func held(_ hash: String, by worker: String, since: Int) -> Token {
        version(hash) { token in
            token.claim(
                lease: Lease(id: "lease-" + worker, worker: worker, since: since, until: Timestamp(seconds: 9000)),
                by: WorkerIdentity(name: worker, hostname: "h"))
        }
    }

    private func ended(_ hash: String, code: Int, done: Int) -> Token {
        var token = held(hash, by: "w" + hash, since: done - 1)
        token.retire(
            Attempt(
                lease: "l" + hash, worker: "w", host: "h", started: Timestamp(seconds: done - 1),
                ended: Timestamp(seconds: done), outcome: code == 0 ? .done : .failed, exitCode: code))
        return token
    }

    /// The hash of the version that stays, whatever the order in which they are found.
    private func kept(_ versions: [Token]) -> String? {
        let one = ConflictRepair(versions, now: now)
        let other = ConflictRepair(versions.reversed(), now: now)
        #expect(one?.kept.revision == other?.kept.revision)
        #expect(one.map { $0.removed.count } ?? versions.count - 1 == versions.count - 1)
        return one?.kept.revision.map { String($0.hash.prefix(1)) }
    }

    @Test("one that is done stays, before one in error, before any that is held, before any that is free")
    func finished() {
        let free = version("f") { _ in }
        #expect(kept([free, held("a", by: "x", since: 10)]) == "a")
        #expect(kept([ended("b", code: 3, done: 100), held("a", by: "x", since: 10)]) == "b")
        #expect(kept([ended("b", code: 3, done: 100), ended("c", code: 0, done: 200), free]) == "c")
    }

    @Test("of two that are held the older lease stays, of two that are done the one that was first")
    func oldest() {
        #expect(kept([held("a", by: "x", since: 30), held("b", by: "y", since: 20)]) == "b")
        #expect(kept([held("a", by: "x", since: 20), held("b", by: "y", since: 20)]) == "a")
        #expect(kept([ended("a", code: 0, done: 300), ended("b", code: 0, done: 200)]) == "b")
    }

    @Test("what the others knew of tries is kept")
    func history() throws {
        let repair = try #require(
            ConflictRepair([ended("a", code: 0, done: 300), ended("b", code: 0, done: 200)], now: now))
        #expect(repair.isChanged)
        #expect(repair.kept.pool.history.map(\.lease) == ["lb", "la"])
    }

    @Test("two claims that have just met are left to step back by themselves")
    func young() {
        #expect(ConflictRepair([held("a", by: "x", since: 4995), held("b", by: "y", since: 20)], now: now) == nil)
    }
}

@Suite("A janitor")
struct JanitorTests {
    @Test("a worker that vanishes again and again costs longer and longer pauses, then the token is given up")
    func lapses() async throws {
        try await withPool { pool, clock in
            try await pool.add(["a"])
            var pauses: [Int] = []
            for attempt in 1...AttemptPolicy.lapseLimit {
                #expect(try await pool.claim(1, as: worker("w\(attempt)")).count == 1)
                clock.advance(.seconds(400))
                let report = try await pool.sweep()
                guard attempt < AttemptPolicy.lapseLimit else {
                    #expect(report.givenUp == ["a"])
                    break
                }
                #expect(report.returned == ["a"])
                let token = try await pool.token("a")
                let pause = token.pool.notBefore.map { ($0 - clock.now()).wholeMilliseconds } ?? 0
                pauses.append(pause)
                #expect((pause == 0) == (token.state == .todo))
                clock.advance(.milliseconds(pause + 1))
                _ = try await pool.sweep()
            }
            #expect(pauses == pauses.sorted())
            #expect(pauses[0] == 0)
            #expect(pauses[1] > 7000 && pauses[1] <= 10_000)
            #expect(pauses[8] > 900_000 && pauses[8] <= 1_280_000)
            #expect(try await pool.token("a").state == .error)
        }
    }

    @Test("tokens that PiCaS holds are taken back by age only when the settings say so, and their tries are counted")
    func foreign() async throws {
        try await withPool { pool, clock in
            let now = clock.now().seconds
            try await pool.add(["old", "young"]) { token in
                token.lock = token.id == "old" ? now - 7200 : now - 60
                token.hostname = "picas"
                token.pool.maxAttempts = 2
            }
            let janitor = Janitor(pool: pool)
            #expect(try await janitor.once().isEmpty)
            #expect(try await pool.token("old").state == .locked)
            try await pool.save(JanitorSettings(takeBackAfter: .seconds(3600)))
            #expect(try await janitor.once().returned == ["old"])
            let old = try await pool.token("old")
            #expect(old.pool.attempts == 1)
            #expect(old.pool.history.last?.host == "picas")
            #expect(old.errors.count == 1)
            #expect(try await pool.token("young").state == .locked)
        }
    }

    @Test("many janitors at once do each thing once")
    func many() async throws {
        try await withPool { pool, clock in
            try await pool.add((0..<60).map { "t\($0)" })
            #expect(try await pool.claim(60, as: worker("w")).count == 60)
            try await pool.add(["late"]) {
                $0.lock = TokenState.waitingLock
                $0.pool.notBefore = clock.now() + .seconds(10)
            }
            clock.advance(.seconds(400))
            var returned: [String] = []
            var released: [String] = []
            try await withThrowingTaskGroup(of: SweepReport.self) { group in
                for _ in 0..<6 { group.addTask { try await Janitor(pool: pool).once() } }
                for try await report in group {
                    returned += report.returned
                    released += report.released
                    #expect(report.failures.isEmpty)
                }
            }
            #expect(returned.count == 60 && Set(returned).count == 60)
            #expect(released == ["late"])
        }
    }

    @Test("leaves one version where replication brought several, the finished one, and forgets workers that vanished")
    func repairs() async throws {
        try await withPool { pool, clock in
            func version(_ hash: String, _ change: (inout Token) -> Void) -> Document {
                var token = Token(id: "a")
                change(&token)
                token.revision = Revision("2-" + String(repeating: hash, count: 32))
                return token.document
            }
            let locked = version("f") { $0.lock = 100 }
            let done = version("a") {
                $0.lock = 100
                $0.done = 200
                $0.exitCode = 0
            }
            _ = try await pool.database.bulkSave([locked, done], newEdits: false)
            try await pool.database.save(
                Document(
                    id: "worker_x",
                    fields: ["type": "worker", "name": "x", "until": (clock.now() - .seconds(1)).json]))
            #expect(try await pool.token("a").state == .locked)
            let report = try await Janitor(pool: pool).once()
            #expect(report.repaired == ["a"])
            #expect(report.removedWorkers == ["x"])
            let token = try await pool.database.document("a", options: .conflicts)
            #expect(token.conflicts.isEmpty)
            #expect(Token(token).state == .done)
            #expect(try await pool.database.documentIfPresent("worker_x") == nil)
            #expect(try await Janitor(pool: pool).once().isEmpty)
        }
    }

    @Test("frees what nobody freed: tokens after tokens and sets, on success or on any end, and never too early")
    func dependents() async throws {
        try await withPool { pool, clock in
            try await pool.add(["good"]) {
                $0.lock = 1
                $0.done = 2
                $0.exitCode = 0
            }
            try await pool.add(["bad"]) {
                $0.lock = 1
                $0.done = 2
                $0.exitCode = 1
            }
            func waiting(_ id: String, _ change: (inout PoolFields) -> Void) async throws {
                try await pool.add([id]) { token in
                    token.lock = TokenState.waitingLock
                    change(&token.pool)
                }
            }
            try await waiting("after good") { $0.after = ["good"] }
            try await waiting("after bad") { $0.after = ["bad"] }
            try await waiting("whatever bad") { $0.afterAny = ["bad", "good"] }
            try await waiting("after nothing") { $0.after = ["no such token"] }
            try await waiting("later") {
                $0.after = ["good"]
                $0.notBefore = clock.now() + .seconds(60)
            }
            #expect(try await Janitor(pool: pool).once().released.sorted() == ["after good", "whatever bad"])
            clock.advance(.seconds(61))
            #expect(try await Janitor(pool: pool).once().released == ["later"])
            #expect(try await pool.token("after bad").state == .waiting)
            #expect(try await pool.token("after nothing").state == .waiting)
        }
    }

    @Test("says what to do when the database or its views are missing")
    func missing() async throws {
        try await withPool { pool, _ in
            let none = Pool(database: pool.database.server.database("no-such-database"))
            await #expect(throws: PoolError.self) { try await Janitor(pool: none).once() }
            try await pool.database.delete(
                "_design/tokenpool",
                revision: try #require(try await pool.database.document("_design/tokenpool").revision))
            do {
                try await Janitor(pool: pool).run()
                Issue.record("it went on without views")
            } catch let error as PoolError {
                #expect(error.description.contains("tokenpool views push"))
            }
        }
    }
}
