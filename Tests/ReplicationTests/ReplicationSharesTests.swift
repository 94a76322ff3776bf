import Testing

@testable import Replication

@Suite("Shares of replications")
struct ReplicationSharesTests {
    private typealias Rules = ReplicationShares.Rules

    @Test(
        "what runs stands back by its owner's time, replications and shares, and comes to the front again in seven hours"
    )
    func oneOwner() {
        var shares = ReplicationShares()
        let rules = Rules(shares: ["rich": 1000, "poor": -5])
        func run(_ name: String, of owner: String) {
            shares.add(name, of: owner, rules)
            #expect(shares.priority(of: name) == 0)
            shares.charge(owner, .seconds(60))
            shares.endInterval(running: [(name, owner)], rules)
        }
        run("a", of: "db")
        // 60,000,000 µs × 1 replication ÷ 100² shares.
        #expect(shares.priority(of: "a") == 6000)
        run("b", of: "rich")
        #expect(shares.priority(of: "b") == 60)
        // Shares are from 1 to 1000.
        run("c", of: "poor")
        #expect(shares.priority(of: "c") == 60_000_000)
        // Two intervals later: 6000 × 0.98 = 5880, × 0.98 = 5762.4.
        #expect(shares.priority(of: "a") == 5762)
        for _ in 0..<60 { shares.endInterval(running: [], rules) }
        #expect(shares.priority(of: "a") > 0)
        for _ in 0..<(7 * 60) { shares.endInterval(running: [], rules) }
        #expect(shares.priority(of: "a") == 0)
    }

    @Test("who takes a replication out and asks for it again is not at the front")
    func again() {
        var shares = ReplicationShares()
        let rules = Rules()
        shares.add("a", of: "db", rules)
        shares.charge("db", .seconds(60))
        shares.endInterval(running: [("a", "db")], rules)
        shares.remove("a", of: "db")
        #expect(shares.priority(of: "a") == 0)
        shares.add("a", of: "db", rules)
        #expect(shares.priority(of: "a") == 6000)
        // Long after it has run, nothing of it is left.
        shares.remove("a", of: "db")
        for _ in 0..<30 { shares.endInterval(running: [], rules) }
        shares.add("a", of: "db", rules)
        #expect(shares.priority(of: "a") == 0)
    }

    /// How much of all running time each owner gets in percent, of 25 places an owner.
    private func portions(_ owners: [String: (shares: Int, waiting: Int)]) -> [String: Int] {
        struct Job {
            let owner: String
            var lastStart = 0
        }
        let rules = Rules(shares: owners.mapValues(\.shares))
        let schedule = ReplicationSchedule(mostJobs: 25 * owners.count, mostChurn: 10, shares: rules)
        var shares = ReplicationShares()
        var jobs: [String: Job] = [:]
        var running: Set<String> = []
        for (owner, numbers) in owners.sorted(by: { $0.key < $1.key }) {
            for number in 0..<25 + numbers.waiting {
                let name = "\(owner) \(number)"
                jobs[name] = Job(owner: owner)
                shares.add(name, of: owner, rules)
                if number < 25 { running.insert(name) }
            }
        }
        func candidates(_ names: some Sequence<String>) -> [ReplicationSchedule.Candidate] {
            names.compactMap { name in
                jobs[name].map {
                    ReplicationSchedule.Candidate(
                        name: name, isContinuous: true, priority: shares.priority(of: name), lastStart: $0.lastStart)
                }
            }
        }
        var time: [String: Int] = [:]
        var starts = 0
        for _ in 0..<1000 {
            let current = running.compactMap { name in jobs[name].map { (name: name, owner: $0.owner) } }
            for job in current {
                time[job.owner, default: 0] += 1
                shares.charge(job.owner, .seconds(60))
            }
            shares.endInterval(running: current, rules)
            let waiting = jobs.keys.filter { !running.contains($0) }
            running.subtract(schedule.stops(running: candidates(running), waiting: waiting.count))
            for name in schedule.starts(waiting: candidates(waiting), running: running.count) {
                starts += 1
                jobs[name]?.lastStart = starts
                running.insert(name)
            }
        }
        let total = time.values.reduce(0, +)
        return time.mapValues { Int((Double($0 * 100) / Double(total)).rounded()) }
    }

    @Test("owners get what their shares say, however many replications they have")
    func fair() throws {
        func expect(_ owners: [String: (shares: Int, waiting: Int)], _ wanted: [String: Int]) throws {
            let found = portions(owners)
            for (owner, percent) in wanted { #expect(abs(try #require(found[owner]) - percent) <= 1, "\(found)") }
        }
        // CouchDB's own figures (its tests of couch_replicator_share).
        try expect(["a": (100, 75), "b": (100, 75)], ["a": 50, "b": 50])
        try expect(["a": (900, 75), "b": (100, 75)], ["a": 90, "b": 10])
        try expect(["a": (100, 25), "b": (100, 125)], ["a": 50, "b": 50])
        try expect(["a": (100, 75), "b": (700, 75), "c": (200, 75)], ["a": 10, "b": 70, "c": 20])
        try expect(["a": (100, 25), "b": (100, 100), "c": (100, 75)], ["a": 33, "b": 33, "c": 33])
    }
}
