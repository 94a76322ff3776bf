import CouchDocument
import CouchStore
import Foundation
import Logging
import Synchronization
import Testing

@Suite("View indexes")
struct ViewsIndexTests {
    static let todo = DesignDocument(
        map: "function(doc){if (doc.lock === 0) emit([doc.kind, doc._id], doc.n)}", reduce: "_sum")

    @Test("an index follows changes and deletions")
    func follows() async throws {
        try await ViewBench.run(["{\"_id\":\"t1\",\"lock\":0,\"n\":1}", "{\"_id\":\"t2\",\"lock\":0,\"n\":2}"]) {
            bench in
            func ids() async throws -> [String?] {
                try await bench.page(Self.todo) { $0.reduce = false }.rows.map(\.id)
            }
            #expect(try await ids() == ["t1", "t2"])
            try bench.log.put("{\"_id\":\"t1\",\"lock\":5,\"n\":1}")
            #expect(try await ids() == ["t2"])
            try bench.log.put("{\"_id\":\"t1\",\"lock\":0,\"n\":1}")
            #expect(try await ids() == ["t1", "t2"])
            try await bench.expect(Self.todo, gives: ["null 3"])
            bench.log.delete("t1")
            #expect(try await ids() == ["t2"])
            try await bench.expect(Self.todo, gives: ["null 2"])
            bench.log.delete("t2")
            #expect(try await ids() == [])
            try await bench.expect(Self.todo, gives: [])
        }
    }

    @Test("a query that does not want an update gets the rows of before, and a lazy one has them brought up to date")
    func lazy() async throws {
        try await ViewBench.run(["{\"_id\":\"t1\",\"lock\":0}"]) { bench in
            func count(_ update: ViewUpdate) async throws -> Int {
                try await bench.page(Self.todo) {
                    $0.reduce = false
                    $0.update = update
                }.rows.count
            }
            #expect(try await count(.never) == 0)
            #expect(try await count(.before) == 1)
            try bench.log.put("{\"_id\":\"t2\",\"lock\":0}")
            #expect(try await count(.never) == 1)
            #expect(try await count(.lazy) == 1)
            // The update began in the background; one that waits shares it.
            #expect(try await count(.before) == 2)
        }
    }

    @Test("an index closes although those who read it need the thread that closes it", .timeLimit(.minutes(1)))
    func closingUnderReaders() async throws {
        let documents = (0..<500).map { "{\"_id\":\"t\($0)\",\"lock\":0,\"n\":1}" }
        for _ in 0..<5 {
            try await ViewBench.run(documents) { bench in
                try await bench.expect(Self.todo, gives: ["null 500"])
                try await withTaskExecutorPreference(OwnThread(mayRead: true)) { () async throws in
                    await withTaskGroup(of: Void.self) { group in
                        for _ in 0..<20 {
                            group.addTask {
                                do {
                                    #expect(try await bench.page(Self.todo) { $0.reduce = false }.rows.count == 500)
                                } catch {
                                    #expect(error is StoreError, "\(error)")
                                }
                            }
                        }
                        group.addTask { await bench.views.close() }
                    }
                }
            }
        }
    }

    @Test("an index that is opened again goes on where it was")
    func reopening() async throws {
        let first = try ViewBench(["{\"_id\":\"t1\",\"lock\":0,\"n\":1}"])
        #expect(try await first.rows(Self.todo) == ["null 1"])
        await first.views.close()
        await #expect(throws: StoreError.self) { try await first.rows(Self.todo) }
        try first.log.put("{\"_id\":\"t2\",\"lock\":0,\"n\":2}")
        let second = try ViewBench(folder: first.folder, log: first.log)
        let before = try await second.rows(Self.todo) { $0.update = .never }
        #expect(before == ["null 1"])
        #expect(try await second.rows(Self.todo) == ["null 3"])
        try await second.views.removeAll()
        #expect(!FileManager.default.fileExists(atPath: first.folder))
    }

    @Test(
        "documents that move behind the end of a long pass while it runs have their rows, read at one moment or not",
        arguments: [0, 200_000])
    func movedWhileReading(mostInSnapshot: Int) async throws {
        let log = try MovingLog((0..<1600).map { "{\"_id\":\"d\($0)\",\"n\":\($0)}" })
        let folder = NSTemporaryDirectory() + "views-" + UUID().uuidString
        let views = ViewIndexes(
            folder: folder, source: log, mostInSnapshot: mostInSnapshot, logger: Logger(label: "test"))
        let design = DesignDocument(map: "function (doc) { emit(doc.n, null) }")
        func keys() async throws -> [String: String] {
            let rows = try await views.query(design: design, view: "v", ViewIndexQuery()).rows
            #expect(rows.count == 1600)
            return Dictionary(uniqueKeysWithValues: rows.map { ($0.id ?? "", String(decoding: $0.key, as: UTF8.self)) })
        }
        // An index that is made, and one that catches up by many pages.
        log.moves = ["d1500", "d1599"]
        _ = try await keys()
        #expect(log.moves == [])
        for number in 0..<1600 { try log.put("d\(number)", 10_000 + number) }
        log.moves = ["d1400", "d1598"]
        let found = try await keys()
        #expect(log.moves == [])
        #expect(["11400", "-1"].contains(found["d1400"]) && ["11598", "-1"].contains(found["d1598"]))
        let later = try await keys()
        #expect(later["d1400"] == "-1" && later["d1598"] == "-1")
        try await views.removeAll()
    }

    @Test("writers who never rest do not keep a view from answering", .timeLimit(.minutes(1)))
    func restlessWriters() async throws {
        let log = try GrowingLog((0..<1000).map { "{\"_id\":\"d\($0)\",\"n\":\($0)}" })
        let folder = NSTemporaryDirectory() + "views-" + UUID().uuidString
        let views = ViewIndexes(folder: folder, source: log, logger: Logger(label: "test"))
        let design = DesignDocument(map: "function (doc) { emit(doc.n, null) }")
        let rows = try await views.query(design: design, view: "v", ViewIndexQuery()).rows
        #expect(rows.count >= 1000)
        try await views.removeAll()
    }

    @Test("compaction makes the file of an index small again and leaves its rows, also while they are read and changed")
    func compaction() async throws {
        let text = String(repeating: "x", count: 500)
        func document(_ number: Int) -> String { "{\"_id\":\"t\(number)\",\"lock\":0,\"kind\":\"\(text)\",\"n\":1}" }
        try await ViewBench.run((0..<3000).map(document)) { bench in
            try await bench.expect(Self.todo, gives: ["null 3000"])
            for number in 0..<2900 { bench.log.delete("t\(number)") }
            try await bench.expect(Self.todo, gives: ["null 100"])
            let before = try await bench.views.information(design: Self.todo).sizes.file
            async let compacting: Void = bench.views.compact(design: Self.todo)
            try bench.log.put(document(5000))
            try await bench.expect(Self.todo, gives: ["null 101"])
            try await compacting
            try await bench.views.compact(design: Self.todo)
            let after = try await bench.views.information(design: Self.todo)
            #expect(after.sizes.file < before / 4, "\(before) bytes, then \(after.sizes.file)")
            #expect(!after.isCompacting)
            try await bench.expect(Self.todo, gives: ["null 101"])
            let ids = try await bench.page(Self.todo) { $0.reduce = false }.rows.compactMap(\.id)
            #expect(Set(ids) == Set((2900..<3000).map { "t\($0)" } + ["t5000"]))
        }
    }

    @Test("a damaged index file is built anew")
    func damaged() async throws {
        let first = try ViewBench(["{\"_id\":\"t1\",\"lock\":0,\"n\":1}"])
        #expect(try await first.rows(Self.todo) == ["null 1"])
        await first.views.close()
        for name in try FileManager.default.contentsOfDirectory(atPath: first.folder) {
            try Data("this is no database".utf8).write(to: URL(filePath: first.folder + "/" + name))
        }
        let second = try ViewBench(folder: first.folder, log: first.log)
        #expect(try await second.rows(Self.todo) == ["null 1"])
        try await second.views.removeAll()
    }

    @Test("queries at one time, while documents are written, all see what was written before them")
    func concurrency() async throws {
        try await ViewBench.run { bench in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<8 {
                    group.addTask {
                        for number in 0..<20 {
                            let id = "\(task)-\(number)"
                            try bench.log.put("{\"_id\":\"\(id)\",\"lock\":0,\"kind\":\(task),\"n\":1}")
                            let rows = try await bench.page(Self.todo) {
                                $0.reduce = false
                                $0.key = [.integer(task), .string(id)]
                            }.rows
                            #expect(rows.map(\.id) == [id])
                        }
                    }
                }
                try await group.waitForAll()
            }
            try await bench.expect(Self.todo, gives: ["null 160"])
        }
    }

    @Test("clean-up removes the files of views that no design document has any more")
    func cleanup() async throws {
        try await ViewBench.run(["{\"_id\":\"t1\",\"lock\":0}"]) { bench in
            let other = DesignDocument(map: "function(doc){emit(1)}")
            _ = try await bench.rows(Self.todo)
            _ = try await bench.rows(other)
            func files() throws -> Int {
                try FileManager.default.contentsOfDirectory(atPath: bench.folder).filter { $0.hasSuffix(".db") }.count
            }
            let both = try files()
            #expect(both == 2)
            try await bench.views.cleanup(keeping: [other])
            let one = try files()
            #expect(one == 1)
            try await bench.expect(other, gives: ["t1 1 null"])
        }
    }

    @Test("an index tells how far it is")
    func information() async throws {
        try await ViewBench.run(["{\"_id\":\"t1\",\"lock\":0}"]) { bench in
            #expect(try await bench.views.information(design: Self.todo).updatesPending == 1)
            _ = try await bench.rows(Self.todo)
            let information = try await bench.views.information(design: Self.todo)
            #expect(information.updateSequence == 1 && information.updatesPending == 0)
            #expect(information.signature.count == 32 && information.language == "javascript")
            #expect(!information.isUpdating && information.sizes.file > 0)
        }
    }

    /// Rows, ranges, groups and reductions of an index that grew and shrank by many random edits are those of its
    /// documents.
    @Test("an index after thousands of random edits equals one built at once", arguments: [1, 2, 3])
    func randomEdits(seed: UInt64) async throws {
        var random = SeededGenerator(state: seed)
        try await ViewBench.run { bench in
            for round in 0..<12 {
                for _ in 0..<(round % 3 == 0 ? 1500 : 40) {
                    let id = "d\(Int.random(in: 0..<1200, using: &random))"
                    if Int.random(in: 0..<10, using: &random) < (round > 7 ? 8 : 2) {
                        bench.log.delete(id)
                    } else {
                        let kind = Int.random(in: 0..<7, using: &random)
                        let number = Int.random(in: -50..<50, using: &random)
                        try bench.log.put(
                            "{\"_id\":\"\(id)\",\"lock\":\(number % 5 == 0 ? 1 : 0),\"kind\":\(kind),\"n\":\(number)}")
                    }
                }
                _ = try await bench.rows(Self.todo)
                let lower = Int.random(in: 0..<7, using: &random)
                try await compareWithFresh(bench, lower: lower)
            }
        }
    }

    private func compareWithFresh(_ bench: ViewBench, lower: Int) async throws {
        let fresh = try ViewBench(log: bench.log)
        let queries: [@Sendable (inout ViewIndexQuery) -> Void] = [
            { $0.reduce = false }, { _ in }, { $0.groupLevel = 1 }, { $0.group = true },
            {
                $0.groupLevel = 1
                $0.descending = true
            },
            {
                $0.startKey = [.integer(lower), "d3"]
                $0.endKey = [.integer(lower + 2), "d7"]
            },
            {
                $0.reduce = false
                $0.descending = true
                $0.startKey = [.integer(lower), "d7"]
                $0.skip = 3
                $0.limit = 200
            },
        ]
        for query in queries {
            let wanted = try await fresh.rows(Self.todo, "v", query)
            let found = try await bench.rows(Self.todo, "v", query)
            #expect(found == wanted)
        }
        let sum = try await fresh.page(Self.todo) { $0.reduce = false }.rows
            .reduce(0) { $0 + (Int(String(decoding: $1.value, as: UTF8.self)) ?? 0) }
        let reduced = try await bench.rows(Self.todo)
        #expect(reduced == ["null \(sum)"] || reduced.isEmpty)
        try await fresh.views.removeAll()
    }
}

/// SplitMix64: random, and the same in every run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }
}

/// A log in which documents move to its end while it is read: one each time that a page of a long pass is.
private final class MovingLog: ViewSource {
    private let log: DocumentLog
    /// Protects the ids of the documents that are still to move.
    private let waiting = Mutex<[String]>([])

    init(_ documents: [String]) throws { log = try DocumentLog(documents) }

    var moves: [String] {
        get { waiting.withLock { $0 } }
        set { waiting.withLock { $0 = newValue } }
    }

    func put(_ id: String, _ number: Int) throws { try log.put("{\"_id\":\"\(id)\",\"n\":\(number)}") }

    func lastSequence() -> Int { log.lastSequence() }

    func changes(after first: Int, through last: Int) throws -> ViewChanges {
        // Only a long pass asks for no more than an end that it knows.
        if last < Int.max { try move() }
        return log.changes(after: first, through: last)
    }

    private func move() throws { if let id = waiting.withLock({ $0.popLast() }) { try put(id, -1) } }

    /// What is shown stays; what is not goes on moving.
    private struct Moment: ViewSource {
        let shown: DocumentLog
        let log: MovingLog

        func lastSequence() -> Int { shown.lastSequence() }
        func changes(after first: Int, through last: Int) throws -> ViewChanges {
            try log.move()
            return shown.changes(after: first, through: last)
        }
        func atOneMoment(_ body: (any ViewSource) throws -> Void) throws { try body(self) }
    }

    func atOneMoment(_ body: (any ViewSource) throws -> Void) throws {
        try body(Moment(shown: log.frozen(), log: self))
    }
}

/// A log that has grown by more than a page each time that one is read.
private final class GrowingLog: ViewSource {
    private let log: DocumentLog
    private let count = Mutex(0)

    init(_ documents: [String]) throws { log = try DocumentLog(documents) }

    func lastSequence() -> Int { log.lastSequence() }

    func changes(after first: Int, through last: Int) throws -> ViewChanges {
        let start = count.withLock { count in
            defer { count += 600 }
            return count
        }
        for number in start..<start + 600 { try log.put("{\"_id\":\"new\(number)\",\"n\":\(number)}") }
        return log.changes(after: first, through: last)
    }

    func atOneMoment(_ body: (any ViewSource) throws -> Void) throws { try log.atOneMoment(body) }
}
