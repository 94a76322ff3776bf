import CouchDB
import CouchDocument
import Foundation
import Synchronization
import TestSupport
import Testing
import TokenPool

/// Pilots that work a pool while they, and the server if wanted, are killed again and again.
///
/// The blows fall by what has been done, not by the clock: after every so many finished tokens the next one, on a victim
/// that the seed decides.
struct ChaosRun: Sendable {
    var pilots = 4
    var slots = 4
    var tokens = 200
    var pilotKills = 12
    var serverKills = 0
    var seed: UInt64 = 20_251_121
    var timeLimit = Duration.seconds(180)

    /// The full form: 8 pilots of 4 slots, 1,000 tokens. `Scripts/chaos` asks for it.
    static let isFull = ProcessInfo.processInfo.environment["TOKENPOOL_CHAOS"] == "full"

    static func chosen(serverKills: Int) -> ChaosRun {
        var run = ChaosRun(serverKills: serverKills)
        if isFull {
            run.pilots = 8
            run.tokens = 1000
            run.pilotKills = 60
            run.serverKills = serverKills * 3
            run.timeLimit = .seconds(900)
        }
        if let seed = ProcessInfo.processInfo.environment["TOKENPOOL_CHAOS_SEED"].flatMap({ UInt64($0) }) {
            run.seed = seed
        }
        return run
    }

    /// Works the pool to its end and checks every promise.
    func run(in pool: JourneyPool) async throws {
        let journal = pool.folder + "/journal"
        try await pool.save(
            (0..<tokens).map { number in
                var token = Token(id: "chaos_\(number)")
                token.pool.maxAttempts = 1000
                token.pool.command = .array([
                    "/bin/sh", "-c", "echo \"$1 $2\" >> \"$3\"; sleep 0.01; echo \"ran $1\"", "sh", "{id}", "{attempt}",
                    .string(journal),
                ])
                return token
            })
        let crew = Crew()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for place in 0..<pilots {
                group.addTask { try await crew.keep(place) { try startPilot(pool) } }
            }
            group.addTask {
                try await Task.sleep(for: timeLimit)
                throw Program.Failure(description: "not all tokens were done within \(timeLimit)")
            }
            group.addTask {
                defer { crew.dismiss() }
                try await strike(crew, pool)
            }
            // The first that ends badly, the time limit among them, ends the rest.
            do {
                for _ in 0...pilots { try await group.next() }
            } catch {
                crew.dismiss(with: SIGKILL)
                group.cancelAll()
                throw error
            }
            group.cancelAll()
        }
        for ending in crew.endings where ending.status != 0 {
            // A pilot that starts while the server is down never had contact: it says so and ends.
            #expect(
                serverKills > 0 && ending.status == 3,
                "a pilot ended with \(ending.status): \(ending.errors.suffix(2000))")
        }
        try await check(pool, journal: journal)
    }

    private func startPilot(_ pool: JourneyPool) throws -> RunningProgram {
        try Program.start(
            try Program.built("tokenpool"), ["work", "--slots", "\(slots)", "--lease", "2s", "--wait", "--quiet"],
            environment: pool.environment, folder: pool.folder)
    }

    /// Follows the pool until every token is done, and strikes on the way.
    private func strike(_ crew: Crew, _ pool: JourneyPool) async throws {
        var random = SeededRandom(seed: seed)
        // The blows, spread evenly: the last falls with a tenth of the tokens left.
        let blows = pilotKills + serverKills
        let kinds = (Array(repeating: true, count: pilotKills) + Array(repeating: false, count: serverKills)).shuffled(
            using: &random)
        var dealt = 0
        var done: Set<String> = []
        var query = ChangesQuery()
        query.includeDocuments = true
        for try await change in pool.database.changeFeed(query) {
            guard let document = change.document, document["type"] == "token" else { continue }
            let token = Token(document)
            if token.state == .done { done.insert(token.id) }
            if done.count == tokens { return }
            while dealt < blows, done.count * blows * 10 >= tokens * 9 * (dealt + 1) {
                if kinds[dealt] {
                    crew.kill(Int.random(in: 0..<pilots, using: &random))
                } else {
                    try await pool.server.kill()
                    try await pool.server.restart()
                }
                dealt += 1
            }
        }
        throw Program.Failure(description: "the feed of changes ended with \(done.count) of \(tokens) tokens done")
    }

    private func check(_ pool: JourneyPool, journal: String) async throws {
        let found = try await pool.tokens()
        #expect(found.count == tokens, "tokens were lost")
        #expect(found.values.filter { $0.state != .done }.map { "\($0.id): \($0.state)" } == [])
        #expect(found.values.allSatisfy { $0.exitCode == 0 && $0.lease == nil })

        // Each attempt ran at most once, and only attempts that were counted.
        let runs = try String(contentsOfFile: journal, encoding: .utf8).split(separator: "\n").map(String.init)
        #expect(Set(runs).count == runs.count, "an attempt ran twice")
        var tries: [String: Int] = [:]
        for run in runs {
            let parts = run.split(separator: " ").map(String.init)
            tries[parts[0], default: 0] += 1
            #expect((Int(parts[1]) ?? 0) <= found[parts[0]]?.pool.attempts ?? 0, "\(run)")
        }
        #expect(tries.count == tokens, "tokens are done that never ran")

        // In the whole history of each document there is one step to done, and none back.
        let histories = try await RevisionHistory.read(Array(found.keys), in: pool.database)
        for (id, states) in histories {
            var steps = 0
            for (before, after) in zip([nil] + states, states) where after == .done && before != .done { steps += 1 }
            #expect(steps == 1, "\(id) was done \(steps) times: \(states)")
            #expect(states.last == .done)
        }
        #expect(histories.count == tokens)
        let again = tries.values.reduce(0, +) - tokens
        print(
            "chaos, seed \(seed): \(tokens) tokens done once each; \(pilotKills) pilots and \(serverKills) servers killed, \(again) attempts cut short"
        )
    }
}

/// Pilots in their places; each is started again whenever it ends, until all are dismissed.
final class Crew: Sendable {
    private struct State {
        var running: [Int: RunningProgram] = [:]
        var isDismissed = false
        var endings: [Program.Result] = []
    }
    /// Protects who runs, and how those ended that were not killed.
    private let state = Mutex(State())

    var endings: [Program.Result] { state.withLock(\.endings) }

    /// Keeps a pilot in that place.
    func keep(_ place: Int, _ start: () throws -> RunningProgram) async throws {
        while true {
            let pilot = try state.withLock { state -> RunningProgram? in
                if state.isDismissed { return nil }
                let pilot = try start()
                state.running[place] = pilot
                return pilot
            }
            guard let pilot else { return }
            let result = try await pilot.end(within: .seconds(3600))
            let died = result.status == 128 + SIGKILL
            state.withLock { if !died { $0.endings.append(result) } }
        }
    }

    func kill(_ place: Int) { state.withLock(\.running)[place]?.signal(SIGKILL) }

    /// Ends all pilots and starts no more.
    func dismiss(with signal: Int32 = SIGTERM) {
        let running = state.withLock { state in
            state.isDismissed = true
            return state.running
        }
        for pilot in running.values { pilot.signal(signal) }
    }
}

/// The states that a token went through, from its stored revisions.
enum RevisionHistory {
    static func read(_ ids: [String], in database: Database) async throws -> [String: [TokenState]] {
        var histories: [String: [TokenState]] = [:]
        for start in stride(from: 0, to: ids.count, by: 100) {
            let batch = ids[start..<min(start + 100, ids.count)]
            var wanted: [JSON] = []
            for document in try await get(batch.map { ["id": .string($0)] }, in: database) {
                let revisions = document["_revisions"]
                let top = revisions?["start"]?.intValue ?? 0
                for (offset, hash) in (revisions?["ids"]?.arrayValue ?? []).enumerated() {
                    wanted.append([
                        "id": .string(document.id), "rev": .string("\(top - offset)-\(hash.stringValue ?? "")"),
                    ])
                }
            }
            for document in try await get(wanted, in: database).sorted(by: {
                ($0.revision?.generation ?? 0) < ($1.revision?.generation ?? 0)
            }) {
                histories[document.id, default: []].append(Token(document).state)
            }
        }
        return histories
    }

    private static func get(_ wanted: [JSON], in database: Database) async throws -> [Document] {
        let answer = try await database.server.request(
            "POST", "/\(database.name.percentEncodedSegment)/_bulk_get", query: [("revs", "true")],
            body: .json(["docs": .array(wanted)]))
        return try (answer.json()["results"]?.arrayValue ?? []).flatMap { result in
            try (result["docs"]?.arrayValue ?? []).map { entry in
                guard let fields = entry["ok"]?.objectValue else {
                    throw Program.Failure(description: "a revision is not there: \(entry)")
                }
                return Document(fields: fields)
            }
        }
    }
}
