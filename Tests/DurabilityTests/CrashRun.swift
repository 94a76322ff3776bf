import CouchDB
import CouchDocument
import Foundation
import TestSupport
import Testing

/// A server that is killed again and again under writers, a follower of its changes and a reader of its views.
///
/// The blows fall by what has been acknowledged, which the seed decides. After each restart everything is compared with
/// what the writers were told.
struct CrashRun {
    var kills = 4
    var writers = 32
    /// Acknowledged answers before a blow, at most.
    var longestRound = 150
    var seed: UInt64 = 20_251_121
    /// A fresh index is built, and every document read, after so many blows.
    var thoroughly = 2

    /// The long form: 200 blows, or as many as `Scripts/crash` asks for.
    static func chosen() -> CrashRun {
        var run = CrashRun()
        let environment = ProcessInfo.processInfo.environment
        if let kills = environment["TOKENPOOL_CRASH"].flatMap({ Int($0) }) {
            run.kills = kills
            run.longestRound = 600
            run.thoroughly = 20
        }
        if let seed = environment["TOKENPOOL_CRASH_SEED"].flatMap({ UInt64($0) }) { run.seed = seed }
        return run
    }

    private static let map = "function (doc) { if ('group' in doc) emit(doc.group, doc.number); }"
    private static let count = "function (keys, values, rereduce) { return rereduce ? sum(values) : values.length; }"

    private enum Part: Sendable {
        case writer(Int, CrashWriter)
        case follower(ChangeFollower)
        case none
    }

    func run() async throws {
        let server = try await TestServer.start()
        var configuration = try ServerConfiguration(url: server.url)
        configuration.retry = .never
        let client = try Server(configuration)
        let database = try await client.createDatabase("crash")
        try await putViews("work", in: database)
        var random = SeededRandom(seed: seed)
        var crew = (0..<writers).map { CrashWriter(name: $0, seed: seed) }
        var follower = ChangeFollower()
        var acknowledged = 0
        var longestStart = Duration.zero
        for round in 1...kills {
            let blow = Int.random(in: 1...longestRound, using: &random)
            (crew, follower) = try await strike(server, database, crew, follower, after: blow)
            acknowledged += blow
            let start = ContinuousClock.now
            try await server.restart()
            longestStart = max(longestStart, ContinuousClock.now - start)
            try await settle(&crew, in: database)
            try await follower.catchUp(in: database)
            try await check(crew, follower, in: database)
            if round % thoroughly == 0 || round == kills { try await checkThoroughly(crew, round, in: database) }
        }
        #expect(try await server.stop() == 0)
        let sound = try await server.runAnother(["check", server.folder + "/data"])
        #expect(sound.status == 0, "\(sound.text)")
        await client.shutdown()
        print(
            "crash run: seed \(seed), \(kills) kills, over \(acknowledged) acknowledged, longest start \(longestStart)")
    }

    private func putViews(_ name: String, in database: Database) async throws {
        var design = DesignDocument(name: name)
        // The name is in the text, for equal texts share an index.
        design.views = [
            "sum": .init(map: Self.map + " // \(name)", reduce: "_sum"),
            "count": .init(map: Self.map, reduce: Self.count),
        ]
        try await database.push(design)
    }

    /// Lets all work until so many answers were acknowledged, and kills the server.
    private func strike(
        _ server: TestServer, _ database: Database, _ crew: [CrashWriter], _ follower: ChangeFollower, after blow: Int
    ) async throws -> ([CrashWriter], ChangeFollower) {
        let (answers, source) = AsyncStream<Void>.makeStream()
        return try await withThrowingTaskGroup(of: Part.self) { group in
            for (place, writer) in crew.enumerated() {
                group.addTask {
                    var writer = writer
                    try await writer.work(in: database) { source.yield() }
                    return .writer(place, writer)
                }
            }
            group.addTask {
                var follower = follower
                try await follower.follow(database)
                return .follower(follower)
            }
            group.addTask {
                // Indexes are under way when the blow falls, too.
                do {
                    while true { _ = try await database.view(ViewName(design: "work", view: "count")) }
                } catch let error as CouchDBError where error.status == nil {}
                return .none
            }
            group.addTask {
                var count = 0
                for await _ in answers {
                    count += 1
                    if count >= blow { break }
                }
                try await server.kill()
                return .none
            }
            var crew = crew
            var follower = follower
            for try await part in group {
                switch part {
                case .writer(let place, let writer): crew[place] = writer
                case .follower(let after): follower = after
                case .none: break
                }
            }
            return (crew, follower)
        }
    }

    private func settle(_ crew: inout [CrashWriter], in database: Database) async throws {
        for place in crew.indices {
            let ids = crew[place].touched.sorted()
            var found: [String: Document] = [:]
            for (id, document) in zip(ids, try await database.documents(ids)) {
                guard let document, document["_deleted"] != true else { continue }
                found[id] = document
            }
            crew[place].settle(found)
            for (id, document) in found.sorted(by: { $0.key < $1.key }).prefix(3) {
                guard let number = document["number"]?.intValue, let bytes = CrashWriter.attachment(number: number)
                else { continue }
                let attachment = try await database.attachment("a", of: id)
                #expect(try await attachment.bytes(upTo: 1 << 20) == bytes, "the attachment of \(id)")
            }
        }
    }

    /// Counts, changes and reduces against what the writers know.
    private func check(_ crew: [CrashWriter], _ follower: ChangeFollower, in database: Database) async throws {
        var sums: [Int: Int] = [:]
        var counts: [Int: Int] = [:]
        var living = 0
        var dead = 0
        for (id, known) in crew.flatMap(\.known) {
            let seen = follower.seen[id]
            if known.revision == nil {
                dead += 1
                #expect(seen?.isDeleted == true, "_changes did not tell that \(id) was deleted")
            } else {
                living += 1
                sums[known.number % 7, default: 0] += known.number
                counts[known.number % 7, default: 0] += 1
                #expect(seen?.revision == known.revision, "_changes did not tell \(id)")
            }
        }
        let info = try await database.info()
        let designs = try await database.allDocuments(
            ViewQuery(startKey: "_design/", endKey: "_design0")
        ).rows.count
        #expect(info.documentCount == living + designs)
        #expect(follower.seen.count == info.documentCount + info.deletedCount)
        #expect(dead <= info.deletedCount)
        for (view, expected) in [("sum", sums), ("count", counts)] {
            var query = ViewQuery()
            query.group = true
            let rows = try await database.view(ViewName(design: "work", view: view), query).rows
            let found = rows.map { "\($0.key): \($0.value)" }
            #expect(found == expected.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }, "view \(view)")
        }
    }

    /// Every document, and the index against one that is built anew.
    private func checkThoroughly(_ crew: [CrashWriter], _ round: Int, in database: Database) async throws {
        var expected: [String: Revision] = [:]
        for (id, known) in crew.flatMap(\.known) { expected[id] = known.revision }
        var found: [String: Revision] = [:]
        for try await row in database.allDocumentRows() {
            guard let id = row.id, !id.hasPrefix("_design/") else { continue }
            found[id] = row.value["rev"]?.stringValue.flatMap { Revision($0) }
        }
        #expect(found == expected)
        let fresh = "fresh\(round)"
        try await putViews(fresh, in: database)
        for view in ["sum", "count"] {
            var query = ViewQuery()
            query.reduce = false
            let built = try await database.view(ViewName(design: fresh, view: view), query).rows
            let kept = try await database.view(ViewName(design: "work", view: view), query).rows
            #expect(kept == built, "view \(view) is not what a fresh build gives")
        }
        let design = try #require(try await database.revision(of: "_design/\(fresh)"))
        try await database.delete("_design/\(fresh)", revision: design)
    }
}

/// Follows a database's changes over the server's deaths, going on from the last sequence that it was told.
struct ChangeFollower: Sendable {
    private(set) var seen: [String: (revision: Revision?, isDeleted: Bool)] = [:]
    private var since = "0"

    /// Reads changes as they come until the server is gone.
    mutating func follow(_ database: Database) async throws {
        do {
            while true { take(try await database.changes(ChangesQuery(since: since), waiting: .seconds(20))) }
        } catch let error as CouchDBError where error.status == nil {}
    }

    /// Reads what there is.
    mutating func catchUp(in database: Database) async throws {
        take(try await database.changes(ChangesQuery(since: since)))
    }

    private mutating func take(_ page: ChangesPage) {
        for change in page.results { seen[change.id] = (change.revisions.first, change.isDeleted) }
        since = page.lastSequence
    }
}
