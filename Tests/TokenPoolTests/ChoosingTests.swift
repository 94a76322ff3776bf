import CouchDB
import CouchDocument
import Testing

@testable import TokenPool

@Suite("What a worker offers")
struct OfferTests {
    private let offer = Offer(
        cores: 4, memory: 8 << 30, gpus: 1, walltime: .seconds(3600),
        labels: ["site": "sara", "arch": ["x86_64", "avx2"], "licences": 3, "ssd": true])

    @Test(
        "suits what requires no more",
        arguments: [
            ([:], true), (["cores": 4], true), (["cores": 5], false), (["memory": 8_589_934_592], true),
            (["memory": 8_589_934_593], false), (["gpus": 1], true), (["gpus": 2], false),
            (["walltime": 3600], true), (["walltime": 3601], false), (["site": "sara"], true),
            (["site": "juelich"], false), (["site": ["juelich", "sara"]], true), (["arch": "avx2"], true),
            (["arch": "arm64"], false), (["licences": 3], true), (["licences": 4], false), (["ssd": true], true),
            (["tape": true], false), (["tape": false], true), (["cores": "many"], false),
            (["cores": 2, "site": "juelich"], false),
        ] as [(JSONObject, Bool)])
    func admits(requires: JSONObject, isSo: Bool) {
        #expect(offer.admits(requires) == isSo)
        #expect(Offer(offer.json)?.admits(requires) == isSo)
    }

    @Test("is used up by what runs: large tokens beside small ones, until nothing is left")
    func uses() {
        var left = offer.less(["cores": 2, "memory": .integer(6 << 30)])
        #expect(left.room(for: [:], atMost: 10) == 2)
        #expect(!left.admits(["memory": .integer(3 << 30)]))
        left = left.less([:]).less([:])
        #expect(!left.admits([:]))
        #expect(left.missing(for: ["cores": 1, "gpus": 1]) == ["cores"])
        #expect(left.admits(["cores": 0, "gpus": 1]))
    }
}

@Suite("From which queue a worker takes")
struct QueueChooserTests {
    private var random = SystemRandomNumberGenerator()
    private let now = Timestamp(seconds: 1000)

    private func queue(_ set: String, _ shape: String = "", count: Int = 100, priority: Double = 0) throws -> WorkQueue
    {
        try #require(WorkQueue(set: set, shape: shape, count: count, priority: priority))
    }

    private mutating func chosen(_ chooser: QueueChooser, _ count: Int = 1, _ left: Offer = Offer(cores: 4)) -> (
        WorkQueue, Int
    )? {
        if case .claim(let queue, let count) = chooser.next(count, left, using: &random) { (queue, count) } else { nil }
    }

    @Test("the best priority goes first, whatever else speaks against it")
    mutating func priority() throws {
        var chooser = QueueChooser()
        chooser.fill([try queue("a"), try queue("b", priority: 5), try queue("c")], isFresh: true, now: now)
        for _ in 0..<20 {
            let (best, _) = try #require(chosen(chooser))
            #expect(best.set == "b")
            chooser.note(best, claimed: 1, of: 1)
        }
    }

    @Test("a pool that was empty is asked once the next time, for what is there now")
    mutating func empty() throws {
        var chooser = QueueChooser()
        func asks() -> Bool? {
            if case .read(let isFresh) = chooser.next(1, Offer(cores: 4), using: &random) { isFresh } else { nil }
        }
        #expect(asks() == false)
        chooser.fill([], isFresh: false, now: now)
        #expect(asks() == true)
        chooser.fill([], isFresh: true, now: now)
        #expect(asks() == nil)
        chooser.begin(now: now + .seconds(60))
        #expect(asks() == true)
        chooser.fill([], isFresh: true, now: now + .seconds(60))
        #expect(asks() == nil)
        chooser.fill([try queue("full", #"[["cores",99]]"#)], isFresh: true, now: now + .seconds(60))
        #expect(!chooser.isBare)
    }

    @Test("tokens that require nothing are taken ahead of the room for them, when so many are wanted; others are not")
    mutating func ahead() throws {
        var chooser = QueueChooser()
        chooser.fill([try queue("plain"), try queue("large", #"[["cores",2]]"#, priority: 9)], isFresh: true, now: now)
        let full = Offer(cores: 0)
        #expect(chosen(chooser, 5, full) == nil)
        guard case .claim(let queue, let count) = chooser.next(5, full, ahead: 3, using: &random) else {
            Issue.record("nothing is claimed")
            return
        }
        #expect(queue.set == "plain")
        #expect(count == 3)
        guard case .claim(_, 4) = chooser.next(5, Offer(cores: 1), ahead: 3, using: &random) else {
            Issue.record("what there is room for comes on top")
            return
        }
    }

    @Test("sets share a worker's time by their shares, however long their tokens are")
    mutating func shares() throws {
        var chooser = QueueChooser()
        chooser.setShare(3, of: "large")
        chooser.fill([try queue("long"), try queue("short"), try queue("large")], isFresh: true, now: now)
        let lengths: [String: Double] = ["long": 60, "short": 2, "large": 10]
        for (set, seconds) in lengths { chooser.noteLength(.seconds(Int(seconds)), of: set) }
        var time: [String: Double] = [:]
        for _ in 0..<2000 {
            let (queue, _) = try #require(chosen(chooser))
            chooser.note(queue, claimed: 1, of: 1)
            time[queue.set, default: 0] += lengths[queue.set] ?? 0
        }
        let total = time.values.reduce(0, +)
        #expect(abs((time["long"] ?? 0) / total - 0.2) < 0.02)
        #expect(abs((time["short"] ?? 0) / total - 0.2) < 0.02)
        #expect(abs((time["large"] ?? 0) / total - 0.6) < 0.02)
    }

    @Test("only what fits is taken, the large before the small, and as many as there is room for")
    mutating func sizes() throws {
        var chooser = QueueChooser()
        chooser.fill(
            [
                try queue("s"), try queue("s", #"[["cores",3]]"#), try queue("s", #"[["cores",8]]"#),
                try queue("s", #"[["gpus",1]]"#),
            ], isFresh: true, now: now)
        let (large, count) = try #require(chosen(chooser, 10))
        #expect(large.requires == ["cores": 3] && count == 1)
        let (small, rest) = try #require(chosen(chooser, 10, Offer(cores: 4).less(large.requires)))
        #expect(small.requires == [:] && rest == 1)
        #expect(chosen(chooser, 10, Offer(cores: 0)) == nil)
    }

    @Test("it reads lazily, then freshly, and says that there is nothing only then; a queue that is empty is left")
    mutating func reads() throws {
        var chooser = QueueChooser()
        chooser.begin(now: now)
        guard case .read(isFresh: false) = chooser.next(1, Offer(), using: &random) else {
            Issue.record("no lazy read first")
            return
        }
        chooser.fill([try queue("a", count: 1)], isFresh: false, now: now)
        let (a, _) = try #require(chosen(chooser))
        chooser.note(a, claimed: 0, of: 1)
        guard case .read(isFresh: true) = chooser.next(1, Offer(), using: &random) else {
            Issue.record("no fresh read")
            return
        }
        chooser.fill([], isFresh: true, now: now)
        guard case .nothing = chooser.next(1, Offer(), using: &random) else {
            Issue.record("more than nothing")
            return
        }
    }
}

@Suite("Choosing work")
struct ChoosingTests {
    private func claim(
        _ pool: Pool, _ count: Int, _ offer: Offer = Offer(cores: 64), sets: Set<String>? = nil, as name: String = "w",
        order: WorkOrder = .priority
    ) async throws -> [String] {
        var chooser = QueueChooser(sets: sets, order: order)
        return try await pool.claim(
            count, offering: offer, as: worker(name), lease: .seconds(300), chooser: &chooser
        ).map(\.token.id)
    }

    @Test("the view of places has the tokens of the queues, spread over all places by their ids")
    func places() async throws {
        try await withPool { pool, _ in
            let shapes: [JSONObject] = [[:], ["cores": 4], ["memory": 100, "site": ["a", "b"]]]
            for number in 0..<300 {
                let id = ["a b", "żółć 🐟", "t"][number % 3] + "_\(number)"
                try await pool.add([id]) { token in
                    if number % 2 == 0 { token.pool.set = "s" }
                    token.pool.requires = shapes[number % shapes.count]
                    token.pool.priority = number % 5
                    if number % 7 == 0 { token.lock = TokenState.waitingLock }
                    if number % 11 == 0 { token["pool"] = "somebody else's" }
                }
            }
            var query = ViewQuery()
            query.reduce = false
            let queues = try await pool.database.view(.queues, query).rows
            let rows = try await pool.database.view(.places).rows
            func known(_ rows: [ViewRow]) -> Set<String> {
                Set(rows.map { "\($0.id ?? "") \($0.key[0] ?? 0) \($0.key[1] ?? 0) \($0.key[2] ?? 0)" })
            }
            #expect(rows.count > 200 && known(rows) == known(queues))
            let places = rows.compactMap { $0.key[3]?.intValue }
            #expect(places.count == rows.count && places.allSatisfy { (0..<ClaimWindow.places).contains($0) })
            for quarter in 0..<4 {
                let range = quarter * ClaimWindow.places / 4..<(quarter + 1) * ClaimWindow.places / 4
                #expect((35...85).contains(places.count { range.contains($0) }), "\(quarter)")
            }
        }
    }

    @Test("tokens that were made one after the other share a place: the last digit of the id does not count")
    func neighbours() async throws {
        try await withPool { pool, _ in
            let ids = (0..<40).map { "a_\($0 / 10)\($0 % 10).ms" } + ["a", "b", "7", "8", "a_1x.ms"]
            try await pool.add(ids)
            var places: [String: Int] = [:]
            for row in try await pool.database.view(.places).rows { places[row.id ?? ""] = row.key[3]?.intValue }
            #expect(places.count == ids.count)
            for ten in 0..<4 {
                #expect(Set((0..<10).map { places["a_\(ten)\($0).ms"] }).count == 1)
            }
            #expect(Set((0..<4).map { places["a_\($0)0.ms"] }).count == 4)
            #expect(places["a"] != places["b"] && places["7"] == places["8"])
        }
    }

    @Test("takes what fits by priority, of the sets that were asked for, and nothing that belongs to others")
    func fits() async throws {
        try await withPool { pool, _ in
            try await pool.add(["big"]) { $0.pool.requires = ["cores": 8] }
            try await pool.add(["low", "high"]) { $0.pool.priority = $0.id == "high" ? 5 : -5 }
            try await pool.add(["of set"]) { $0.pool.set = "s" }
            try await pool.add(["file"]) { $0.pool.kind = "file" }
            try await pool.add(["grid"]) { $0.type = "demo" }
            try await pool.add(["odd"]) { $0["pool"] = "somebody's own" }
            #expect(try await claim(pool, 1, Offer(cores: 4)) == ["high"])
            #expect(try await claim(pool, 5, sets: ["s"]) == ["of set"])
            #expect(try await claim(pool, 5, Offer(cores: 4)) == ["low"])
            #expect(try await claim(pool, 5, Offer(cores: 8)) == ["big"])
            #expect(try await claim(pool, 5).isEmpty)
        }
    }

    @Test("oldest first: by priority, then by age across sets and sizes, those first of which nobody knows the age")
    func oldest() async throws {
        try await withPool { pool, clock in
            for (number, id) in ["first", "second", "third", "fourth"].enumerated() {
                clock.advance(.seconds(10))
                var token = Token(id: id)
                token.pool.set = number % 2 == 0 ? "a" : "b"
                if number == 2 { token.pool.requires = ["cores": 2] }
                _ = try await pool.add(token)
            }
            clock.advance(.seconds(10))
            var urgent = Token(id: "urgent")
            urgent.pool.priority = 3
            _ = try await pool.add(urgent)
            try await pool.add(["unknown"])
            var order: [String] = []
            for _ in 0..<6 { order += try await claim(pool, 1, order: .oldest) }
            #expect(order == ["urgent", "unknown", "first", "second", "third", "fourth"])
            #expect(try await claim(pool, 1, order: .oldest).isEmpty)
        }
    }

    @Test("at random, priority does not count: each token alike, whichever set it is in")
    func random() async throws {
        try await withPool { pool, _ in
            try await pool.add((0..<60).map { "t\($0)" }) { token in
                token.pool.set = ["a", "b"][(Int(token.id.dropFirst()) ?? 0) % 2]
                token.pool.priority = (Int(token.id.dropFirst()) ?? 0) % 3
            }
            let ids = try await claim(pool, 20, order: .random)
            #expect(ids.count == 20)
            // That twenty of sixty are all of the best third has a chance of one in 10^14.
            #expect(ids.contains { (Int($0.dropFirst()) ?? 0) % 3 != 2 })
            var left = 60 - ids.count
            while left > 0 {
                let more = try await claim(pool, 20, order: .random).count
                #expect(more > 0)
                left -= more
            }
        }
    }

    @Test("at random from a large queue: not only the first rows that a read brings")
    func spread() async throws {
        try await withPool { pool, _ in
            try await pool.add((0..<800).map { "t\($0 + 1000)" })
            var taken: [String] = []
            for number in 0..<20 { taken += try await claim(pool, 1, as: "w\(number)", order: .random) }
            #expect(taken.count == 20 && Set(taken).count == 20)
            // A read brings 32 rows; that twenty workers all begin near the front has a chance below one in 10^20.
            #expect(taken.contains { $0 > "t1100" })
        }
    }

    @Test("never more tokens of a set are held than its limit says, with many workers at once")
    func limit() async throws {
        try await withPool { pool, clock in
            var set = Document(id: "set_s", fields: ["type": "set", "name": "s", "state": "ready", "limit": 5])
            set.revision = try await pool.database.save(set)
            try await pool.add((0..<40).map { "t\($0)" }) { $0.pool.set = "s" }
            var held: [String] = []
            try await withThrowingTaskGroup(of: [String].self) { group in
                for number in 0..<8 { group.addTask { try await claim(pool, 4, as: "w\(number)") } }
                for try await ids in group { held += ids }
            }
            #expect(held.count <= 5)
            // Nobody else is at it now, so the limit is reached.
            held += try await claim(pool, 9)
            #expect(held.count == 5 && Set(held).count == 5)
            #expect(try await claim(pool, 1).isEmpty)
            try await TokenSets(pool).change("s", limit: .some(nil))
            clock.advance(.seconds(31))
            #expect(try await claim(pool, 9).count == 9)
        }
    }

    @Test("a worker that died between its reservation and its claim blocks the limit for half a minute")
    func permits() {
        let now = Timestamp(seconds: 100)
        var permits = SetPermits(set: "s", nil)
        #expect(permits.reserve(3, as: "a", limit: 5, held: 0, now: now) == 3)
        #expect(permits.reserve(3, as: "b", limit: 5, held: 1, now: now) == 1)
        #expect(permits.reserve(3, as: "c", limit: 5, held: 1, now: now) == 0)
        permits.strike("a")
        #expect(permits.reserve(9, as: "c", limit: 5, held: 3, now: now) == 1)
        #expect(permits.reserve(9, as: "d", limit: 5, held: 3, now: now + .seconds(31)) == 2)
    }
}

@Suite("Tokens that wait for each other")
struct DependencyCheckTests {
    private func check(_ waits: [(String, [String])], any: Bool = false) -> DependencyCheck {
        var check = DependencyCheck()
        for (id, dependencies) in waits {
            var token = Token(id: id)
            if any { token.pool.afterAny = dependencies } else { token.pool.after = dependencies }
            check.add(token)
        }
        return check
    }

    @Test(
        "a circle is found, of one, of two or of many thousands, and what is no circle is none",
        arguments: [false, true])
    func circles(any: Bool) {
        #expect(check([("a", ["a"])], any: any).circle() == ["a", "a"])
        #expect(check([("a", ["b"]), ("b", ["a"])], any: any).circle() == ["a", "b", "a"])
        #expect(check([("a", ["b", "c"]), ("b", ["d"]), ("c", ["d"])], any: any).circle() == nil)
        let chain = (0..<20_000).map { ("t\($0)", ["t\($0 + 1)"]) }
        #expect(check(chain).circle() == nil)
        #expect(check(chain + [("t20000", ["t0"])]).circle()?.count == 20_002)
    }

    @Test("circles through what is in the pool already, and through whole sets, are refused; else it waits")
    func inPool() async throws {
        try await withPool { pool, _ in
            func token(_ id: String, set: String? = nil, after: [String]) -> Token {
                var token = Token(id: id)
                token.pool.set = set
                token.pool.after = after
                return token
            }
            _ = try await pool.add(token("b", after: ["a"]))
            #expect(try await pool.token("b").state == .waiting)
            await #expect(throws: PoolError.self) { try await pool.add(token("a", after: ["b"])) }
            await #expect(throws: PoolError.self) { try await pool.add(token("x", set: "s", after: ["set_s"])) }
            try await pool.database.save(
                Document(
                    id: "set_other", fields: ["type": "set", "name": "other", "state": "ready", "awaits": ["set_s"]]))
            await #expect(throws: PoolError.self) { try await pool.add(token("y", set: "s", after: ["set_other"])) }
            _ = try await pool.add(token("a", after: []))
            #expect(try await pool.token("a").state == .todo)
        }
    }
}
