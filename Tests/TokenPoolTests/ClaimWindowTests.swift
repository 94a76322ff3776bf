import CouchDocument
import Testing
import TokenPool

@Suite("The window of a claim")
struct ClaimWindowTests {
    private var random = SystemRandomNumberGenerator()
    private let now = Timestamp(seconds: 1000)

    private func rows(_ ids: Range<Int>, taken: Set<Int> = []) -> [(key: JSON, token: Token?)] {
        ids.map { number in
            var token = Token(id: "t\(number)")
            if taken.contains(number) { token.lock = 999 }
            return (.string(token.id), token)
        }
    }

    /// The next step, which must be a read.
    private mutating func read(_ window: inout ClaimWindow, _ count: Int) throws -> ClaimWindow.Read {
        guard case .read(let read) = window.next(count, using: &random) else { throw Unexpected() }
        return read
    }
    private struct Unexpected: Error {}

    @Test("reads lazily first, and is empty only when a fresh read says so")
    mutating func lazyThenFresh() throws {
        var window = ClaimWindow()
        window.begin(now: now)
        let first = try read(&window, 4)
        #expect(!first.isFresh)
        window.fill([], asked: first, totalRows: 0, now: now, using: &random)
        let second = try read(&window, 4)
        #expect(second.isFresh)
        window.fill([], asked: second, totalRows: 0, now: now, using: &random)
        #expect(window.next(4, using: &random) == .empty)
    }

    @Test("drops rows whose document is no longer todo")
    mutating func dropsTaken() throws {
        var window = ClaimWindow()
        window.begin(now: now)
        let asked = try read(&window, 10)
        window.fill(rows(0..<8, taken: [1, 2, 3]), asked: asked, totalRows: 8, now: now, using: &random)
        guard case .write(let tokens) = window.next(10, using: &random) else { throw Unexpected() }
        #expect(Set(tokens.map(\.id)) == ["t0", "t4", "t5", "t6", "t7"])
    }

    @Test("keeps what it did not need for the next claim, for some seconds")
    mutating func keepsRest() throws {
        var window = ClaimWindow()
        window.begin(now: now)
        let asked = try read(&window, 2)
        window.fill(rows(0..<8), asked: asked, totalRows: 8, now: now, using: &random)
        for _ in 0..<4 {
            guard case .write(let tokens) = window.next(2, using: &random) else { throw Unexpected() }
            #expect(tokens.count == 2)
            window.begin(now: now + .seconds(1))
        }
        window.fill(rows(0..<8), asked: asked, totalRows: 8, now: now, using: &random)
        window.begin(now: now + .seconds(60))
        _ = try read(&window, 2)
    }

    @Test("takes rows in the view's order when asked, equal keys in any")
    mutating func ordered() throws {
        var window = ClaimWindow(order: .asViewed)
        window.begin(now: now)
        let asked = try read(&window, 3)
        window.fill(rows(0..<6), asked: asked, totalRows: 6, now: now, using: &random)
        guard case .write(let tokens) = window.next(3, using: &random) else { throw Unexpected() }
        #expect(tokens.map(\.id) == ["t0", "t1", "t2"])
    }

    @Test("in order, who loses the first rows to others goes further down; who wins comes back")
    mutating func detour() throws {
        var window = ClaimWindow(order: .asViewed)
        window.begin(now: now)
        let asked = try read(&window, 8)
        var firsts: Set<String> = []
        for _ in 0..<40 {
            for _ in 0..<3 { window.noteLost(1, of: 1, using: &random) }
            window.fill(rows(0..<32), asked: asked, totalRows: 32, now: now, using: &random)
            guard case .write(let tokens) = window.next(1, using: &random) else { throw Unexpected() }
            firsts.insert(tokens[0].id)
            for _ in 0..<3 { window.noteLost(0, of: 1, using: &random) }
            window.fill(rows(0..<32), asked: asked, totalRows: 32, now: now, using: &random)
            guard case .write(let won) = window.next(1, using: &random) else { throw Unexpected() }
            #expect(won.map(\.id) == ["t0"])
        }
        #expect(firsts.count > 1 && firsts.isSubset(of: Set((0..<8).map { "t\($0)" })))
    }

    @Test(
        "of many rows each read begins at a place of its own; of few, or when there is nothing there, at the beginning")
    mutating func places() throws {
        var window = ClaimWindow(order: .sharded, spreadOver: 10_000)
        var places: Set<Int> = []
        for second in 0..<20 {
            window.begin(now: now + .seconds(second * 10))
            let asked = try read(&window, 4)
            places.insert(try #require(asked.place))
            window.fill(rows(0..<32), asked: asked, totalRows: 10_000, now: now + .seconds(second * 10), using: &random)
            guard case .write = window.next(4, using: &random) else { throw Unexpected() }
        }
        #expect(places.count > 10 && places.allSatisfy { (0..<ClaimWindow.places).contains($0) })
        window.begin(now: now + .seconds(1000))
        for isFresh in [false, true] {
            let asked = try read(&window, 4)
            #expect((asked.place == nil) == isFresh)
            window.fill([], asked: asked, totalRows: 10_000, now: now + .seconds(1000), using: &random)
        }
        #expect(window.next(4, using: &random) == .empty)
        var small = ClaimWindow(order: .sharded, spreadOver: 20)
        small.begin(now: now)
        #expect(try read(&small, 4).place == nil)
    }

    @Test("at places it takes neighbours together, from any row on")
    mutating func neighbours() throws {
        var starts: Set<String> = []
        for _ in 0..<40 {
            var window = ClaimWindow(order: .sharded, spreadOver: 10_000)
            window.begin(now: now)
            let asked = try read(&window, 4)
            window.fill(rows(0..<32), asked: asked, totalRows: 10_000, now: now, using: &random)
            var taken: [Int] = []
            for _ in 0..<8 {
                guard case .write(let tokens) = window.next(4, using: &random) else { throw Unexpected() }
                taken += tokens.compactMap { Int($0.id.dropFirst()) }
            }
            let first = try #require(taken.first)
            #expect(taken == (0..<32).map { (first + $0) % 32 })
            starts.insert("\(first)")
        }
        #expect(starts.count > 5)
    }

    @Test("at places it goes on behind the rows read last; after lost claims, or at the end, from another place")
    mutating func onward() throws {
        func rows(_ ids: Range<Int>, taken: Set<Int> = []) -> [(key: JSON, token: Token?)] {
            self.rows(ids, taken: taken).enumerated().map { offset, row in
                (["s", "", 0, .integer(ids.lowerBound + offset)], row.token)
            }
        }
        var window = ClaimWindow(order: .sharded, spreadOver: 10_000)
        window.begin(now: now)
        var asked = try read(&window, 32)
        #expect(asked.place != nil && asked.afterID == nil && asked.limit == 128)
        for round in 1...3 {
            let first = round * 1000
            window.fill(rows(first..<first + 128), asked: asked, totalRows: 10_000, now: now, using: &random)
            for _ in 0..<4 {
                guard case .write(let tokens) = window.next(32, using: &random) else { throw Unexpected() }
                window.noteLost(0, of: tokens.count, using: &random)
                window.begin(now: now)
            }
            asked = try read(&window, 32)
            #expect(asked.place == first + 127 && asked.afterID == "t\(first + 127)")
        }
        // Somebody else is there already.
        window.fill(rows(0..<128), asked: asked, totalRows: 10_000, now: now, using: &random)
        guard case .write = window.next(32, using: &random) else { throw Unexpected() }
        window.noteLost(30, of: 32, using: &random)
        guard case .pause = window.next(32, using: &random) else { throw Unexpected() }
        asked = try read(&window, 32)
        #expect(asked.place != nil && asked.afterID == nil)
        // The last rows.
        window.fill(rows(0..<20), asked: asked, totalRows: 10_000, now: now, using: &random)
        guard case .write = window.next(32, using: &random) else { throw Unexpected() }
        window.begin(now: now)
        #expect(try read(&window, 32).afterID == nil)
        // Rows that are all stale.
        window.fill(rows(0..<128, taken: Set(0..<128)), asked: asked, totalRows: 10_000, now: now, using: &random)
        #expect(try read(&window, 32).afterID == nil)
    }

    @Test("while the last rows are written those behind them are read ahead, and come after what is left")
    mutating func ahead() throws {
        func rows(_ ids: Range<Int>, taken: Set<Int> = []) -> [(key: JSON, token: Token?)] {
            self.rows(ids, taken: taken).enumerated().map { offset, row in
                (["s", "", 0, .integer(ids.lowerBound + offset)], row.token)
            }
        }
        var window = ClaimWindow(order: .sharded, spreadOver: 10_000)
        window.begin(now: now)
        #expect(window.ahead(50) == nil)
        window.fill(rows(0..<200), asked: try read(&window, 50), totalRows: 10_000, now: now, using: &random)
        for isLast in [false, false, true] {
            #expect(window.ahead(50) == nil)
            guard case .write = window.next(50, using: &random) else { throw Unexpected() }
            #expect((window.ahead(60) != nil) == isLast)
        }
        let asked = try #require(window.ahead(60))
        #expect(asked.isContinued && !asked.isFresh && asked.place == 199 && asked.afterID == "t199")
        // The view follows once in a while.
        #expect(!asked.follows)
        window.begin(now: now + .seconds(2))
        #expect(window.ahead(60)?.follows == true)
        window.begin(now: now)
        window.noteLost(0, of: 50, using: &random)
        let before = window
        window.fill(rows(200..<440), asked: asked, totalRows: 10_000, now: now, using: &random)
        guard case .write(let rest) = window.next(50, using: &random) else { throw Unexpected() }
        #expect(rest.allSatisfy { (0..<200).contains(Int($0.id.dropFirst()) ?? -1) })
        guard case .write(let next) = window.next(50, using: &random) else { throw Unexpected() }
        #expect(next.allSatisfy { (200..<440).contains(Int($0.id.dropFirst()) ?? -1) })
        // Others are there: what was read ahead of that is as stale.
        window = before
        window.noteLost(40, of: 50, using: &random)
        #expect(window.ahead(60) == nil)
        window.fill(rows(200..<440), asked: asked, totalRows: 10_000, now: now, using: &random)
        guard case .pause = window.next(50, using: &random) else { throw Unexpected() }
        // Nothing but stale rows: afresh.
        window = before
        window.fill(rows(200..<440, taken: Set(200..<440)), asked: asked, totalRows: 10_000, now: now, using: &random)
        guard case .write(let last) = window.next(60, using: &random) else { throw Unexpected() }
        #expect(last.count == 50 && window.ahead(60) == nil)
        #expect(try read(&window, 50).isFresh)
    }

    @Test("pauses and reads again when a fresh view had only rows that others took, and gives up in the end")
    mutating func barren() throws {
        var window = ClaimWindow()
        window.begin(now: now)
        var pauses = 0
        for _ in 0..<30 {
            switch window.next(4, using: &random) {
            case .read(let asked):
                window.fill(rows(0..<3, taken: [0, 1, 2]), asked: asked, totalRows: 3, now: now, using: &random)
            case .pause: pauses += 1
            case .empty:
                #expect(pauses > 0)
                return
            case .write: throw Unexpected()
            }
        }
        Issue.record("it never ended")
    }

    @Test("leaves file handles, Disco tasks and foreign pool fields alone")
    mutating func kinds() throws {
        var window = ClaimWindow()
        window.begin(now: now)
        let asked = try read(&window, 10)
        var file = Token(id: "file", type: "file")
        file.pool.kind = "file"
        let disco = Token(id: "disco", type: "disco")
        var foreign = Token(id: "foreign")
        foreign["pool"] = "somebody else's"
        let mine = Token(id: "mine")
        window.fill(
            [file, disco, foreign, mine].map { (.string($0.id), $0) }, asked: asked, totalRows: 4, now: now,
            using: &random)
        guard case .write(let tokens) = window.next(10, using: &random) else { throw Unexpected() }
        #expect(tokens.map(\.id) == ["mine"])
    }

    @Test("after losing most of a write it throws the rest away and reads afresh, further down")
    mutating func contention() throws {
        var window = ClaimWindow()
        window.begin(now: now)
        let asked = try read(&window, 4)
        window.fill(rows(0..<16), asked: asked, totalRows: 5000, now: now, using: &random)
        _ = window.next(4, using: &random)
        window.noteLost(4, of: 4, using: &random)
        if case .pause = window.next(4, using: &random) {} else { Issue.record("it does not pause") }
        var skips: Set<Int> = []
        for _ in 0..<20 {
            let asked = try read(&window, 4)
            #expect(asked.isFresh)
            skips.insert(asked.skip)
        }
        #expect(skips.count > 1)
    }
}
