import CouchDB
import CouchDocument
import Foundation
import TestSupport
import Testing
import TokenPool

/// Pilots that work a pool while they, the server and the connections between are struck again and again.
struct ChaosRun: Sendable {
    let plan: ChaosPlan

    /// The seed: `TOKENPOOL_CHAOS_SEED`, else always the same.
    static var seed: UInt64 {
        ProcessInfo.processInfo.environment["TOKENPOOL_CHAOS_SEED"].flatMap { UInt64($0) } ?? 20_261_121
    }
    /// How long rounds of the long form are begun, in seconds; `nil` for the short form. `Scripts/chaos` says it.
    static var seconds: Double? {
        ProcessInfo.processInfo.environment["TOKENPOOL_CHAOS_SECONDS"].flatMap { Double($0) }
    }

    /// Works the pool to its end, checks every promise and answers what happened, in words.
    func run(in pool: JourneyPool) async throws -> String {
        let journal = pool.folder + "/journal"
        try await pool.save(plan.tokens(journal: journal))
        let port = try #require(URLComponents(string: pool.server.url)?.port)
        let proxy = CuttingProxy(toPort: port, plan.cuts)
        let crew = Crew()
        var checker = HistoryChecker(expecting: plan.work.indices.map { "chaos_\($0)" })
        let begin = ContinuousClock.now
        try await withThrowingTaskGroup(of: HistoryChecker?.self) { group in
            for place in 0..<plan.pilots {
                group.addTask {
                    try await crew.keep(place) { try startPilot(pool, through: proxy) }
                    return nil
                }
            }
            group.addTask {
                try await Task.sleep(for: plan.timeLimit)
                throw Program.Failure(
                    description: "seed \(plan.seed): not all tokens were over within \(plan.timeLimit)")
            }
            group.addTask { [checker] in
                defer { crew.dismiss() }
                return try await strike(crew, pool, checker)
            }
            // The first that ends badly, the time limit among them, ends the rest.
            do {
                for _ in 0...plan.pilots { if let followed = try await group.next() ?? nil { checker = followed } }
            } catch {
                crew.dismiss(with: SIGKILL)
                group.cancelAll()
                throw error
            }
            group.cancelAll()
        }
        let seconds = (ContinuousClock.now - begin) / .seconds(1)
        let told = note(crew, in: &checker)
        try noteRuns(journal, in: &checker)
        try await StoredHistory.feed(&checker, plan.work.indices.map { "chaos_\($0)" }, pool.database)
        let violations = checker.violations()
        #expect(violations.isEmpty, "seed \(plan.seed): \(violations.prefix(20)), \(violations.count) in all")
        let outcomes = checker.outcomes.map { "\($0.value) \($0.key.rawValue)" }.sorted().joined(separator: ", ")
        return """
            chaos, seed \(plan.seed): \(plan.work.count) tokens over in \(Int(seconds)) s; \(plan.blows.count) blows, \
            \(proxy.cuts) connections cut, \(proxy.delays) held up; \(checker.writes) writes read, \(checker.unseen) not \
            seen; \(checker.leases) leases: \(outcomes); \(checker.superseded) superseded; pilots: \(told); \
            \(violations.count) violations
            """
    }

    private func startPilot(_ pool: JourneyPool, through proxy: CuttingProxy) throws -> RunningProgram {
        var environment = pool.environment
        var address = URLComponents(string: pool.server.url)
        address?.port = URLComponents(string: proxy.url)?.port
        environment["TOKENPOOL_URL"] = address?.string
        return try Program.start(
            try Program.built("tokenpool"),
            ["work", "--slots", "\(plan.slots)", "--lease", "2s", "--grace", "3s", "--wait", "--json"],
            environment: environment, folder: pool.folder)
    }

    /// Follows every write until every token is over, and strikes on the way.
    private func strike(_ crew: Crew, _ pool: JourneyPool, _ checker: HistoryChecker) async throws -> HistoryChecker {
        var checker = checker
        var dealt = 0
        var ended: Set<String> = []
        var query = ChangesQuery()
        query.includeDocuments = true
        query.allLeaves = true
        for try await change in pool.database.changeFeed(query) {
            crew.resume()
            guard let document = change.document, document["type"] == "token" else { continue }
            let token = Token(document)
            checker.feed(token)
            crew.resume(takenBackFrom: token.pool.history.filter { $0.outcome == .lapsed }.map(\.worker))
            if token.state == .done || token.state == .error { ended.insert(token.id) }
            if ended.count == plan.work.count { return checker }
            while dealt < plan.due(ended: ended.count) {
                switch plan.blows[dealt] {
                case .kill(let place): crew.signal(place, SIGKILL)
                case .terminate(let place): crew.signal(place, SIGTERM)
                case .stop(let place): crew.stop(place)
                case .killServer:
                    try await pool.server.kill()
                    try await pool.server.restart()
                }
                dealt += 1
            }
        }
        throw Program.Failure(description: "the feed of changes ended with \(ended.count) of \(plan.work.count) over")
    }

    /// Takes in what the pilots told, and answers how many ended how.
    private func note(_ crew: Crew, in checker: inout HistoryChecker) -> String {
        var counts: [Int32: Int] = [:]
        for ending in crew.endings {
            counts[ending.status, default: 0] += 1
            // 3: it had to leave tokens to their leases, since the server was away or its connections were cut. Of TERM it
            // dies only before it listens for it, with nothing in its hands.
            let isEarly = ending.status == 128 + SIGTERM && ending.output.isEmpty
            #expect(
                [0, 3, 128 + SIGKILL].contains(ending.status) || isEarly,
                "a pilot ended with \(ending.status): \(ending.errors.suffix(2000))")
            for line in ending.lines {
                // A pilot that was killed may have been in the middle of a line.
                guard let event = try? JSON(parsing: line), let token = event["token"]?.stringValue,
                    let lease = event["lease"]?.stringValue
                else { continue }
                switch event["event"] {
                case "started": if ending.status == 0 { checker.note(survivor: lease, of: token) }
                case "superseded": checker.note(superseded: lease, of: token, kept: event["kept"] == true)
                default: break
                }
            }
        }
        return counts.sorted { $0.key < $1.key }.map { "\($0.value) × \($0.key)" }.joined(separator: ", ")
    }

    private func noteRuns(_ journal: String, in checker: inout HistoryChecker) throws {
        for line in try String(contentsOfFile: journal, encoding: .utf8).split(separator: "\n") {
            let parts = line.split(separator: " ").map(String.init)
            guard parts.count == 2 else { throw Program.Failure(description: "a line of the journal: \(line)") }
            checker.note(run: parts[1], of: parts[0])
        }
    }
}

/// The revisions of documents that the server still has: those that no row of `_changes` showed among them.
enum StoredHistory {
    static func feed(_ checker: inout HistoryChecker, _ ids: [String], _ database: Database) async throws {
        for start in stride(from: 0, to: ids.count, by: 100) {
            let batch = ids[start..<min(start + 100, ids.count)]
            var wanted: [(id: String, revision: Revision?)] = []
            for result in try await database.bulkGet(batch.map { ($0, nil) }, options: [.revisions]) {
                // Of a token that is gone there is nothing, which the checker will say.
                for case .success(let document) in result {
                    let top = document["_revisions"]?["start"]?.intValue ?? 0
                    let hashes = document["_revisions"]?["ids"]?.arrayValue?.compactMap(\.stringValue) ?? []
                    let chain = hashes.enumerated().map { Revision(generation: top - $0.offset, hash: $0.element) }
                    checker.feed(chain: chain.reversed(), of: document.id)
                    wanted += chain.map { (document.id, $0) }
                }
            }
            for result in try await database.bulkGet(wanted) {
                for case .success(let document) in result { checker.feed(Token(document)) }
            }
        }
    }
}
