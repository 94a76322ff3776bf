import CouchDocument
import CouchStore
import Foundation
import GRDB
import Logging
import Testing

/// What the store must count, counted the plain way.
private struct CountModel {
    var live: [String: Revision] = [:]
    var deleted: [String: Revision] = [:]
    /// By sequence: the ids whose latest change it is.
    var latest: [String: Int] = [:]

    var ids: [[UInt8]] {
        live.keys.map { Array($0.utf8) }.sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// The number of ids before a place in the sorted ids.
    static func before(_ ids: [[UInt8]], _ key: String, including: Bool) -> Int {
        let key = Array(key.utf8)
        var low = 0
        var high = ids.count
        while low < high {
            let middle = (low + high) / 2
            let isBefore =
                ids[middle].lexicographicallyPrecedes(key) || (including && ids[middle] == key)
            if isBefore { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

@Suite("Counts")
struct CountsTests {
    /// Writes edits in one call and takes over what became of them.
    private func write(_ edits: [Edit], _ database: StoredDatabase, _ model: inout CountModel) async throws {
        for (edit, outcome) in zip(edits, try await database.write(edits)) {
            guard case .saved(let revision, let sequence) = outcome else {
                Issue.record("\(edit.id): \(outcome)")
                continue
            }
            model.live[edit.id] = edit.isDeleted ? nil : revision
            model.deleted[edit.id] = edit.isDeleted ? revision : nil
            model.latest[edit.id] = sequence
        }
    }

    private func compare(_ database: StoredDatabase, _ model: CountModel, _ random: inout SeededRandom) async throws {
        let ids = model.ids
        let sequences = model.latest.values.sorted()
        let known = Array(model.latest.keys).sorted()
        for probe in 0..<150 {
            let key =
                probe % 3 == 0
                ? "\(Int.random(in: 0...9_999_999, using: &random))" : known.randomElement(using: &random)!
            var query = AllDocumentsQuery(limit: 1)
            query.startKey = probe == 1 ? "" : probe == 2 ? "\u{10FFFF}" : key
            query.wantsOffset = true
            query.isDescending = probe % 2 == 1
            let page = try await database.allDocuments(query)
            let before = CountModel.before(ids, query.startKey!, including: query.isDescending)
            #expect(page.offset == (query.isDescending ? ids.count - before : before), "from \(query.startKey!)")
            #expect(page.totalRows == ids.count)
            let since = Int.random(in: 0...(sequences.last ?? 0), using: &random)
            let pending = try await database.pendingChanges(after: since)
            #expect(pending == sequences.count { $0 > since }, "after \(since)")
        }
    }

    @Test("offsets and pending changes are what counting gives, while documents come, go and come back")
    func places() async throws {
        let temporary = try await TemporaryStore()
        let folder = temporary.folder
        let database = try await temporary.store.createDatabase("db")
        var random = SeededRandom(seed: 7)
        var model = CountModel()
        try await compare(
            database,
            {
                var one = CountModel()
                one.latest["nothing"] = 0
                return one
            }(), &random)
        // In order, so that the last stretch is split again and again, and at random, so that all are.
        for batch in 0..<4 {
            let edits = (0..<2000).map { Edit(id: String(1_000_000 + batch * 2000 + $0), body: [:]) }
            try await write(edits, database, &model)
        }
        var fresh: Set<String> = []
        while fresh.count < 8000 { fresh.insert("\(Int.random(in: 2_000_000...9_999_999, using: &random))") }
        for id in ["ü", "u\u{308}", "ä\u{0}b", "\u{FFFF}", "\u{1F600}"] { fresh.insert(id) }
        let ids = fresh.sorted().shuffled(using: &random)
        for start in stride(from: 0, to: ids.count, by: 1000) {
            try await write(
                ids[start..<min(start + 1000, ids.count)].map { Edit(id: $0, body: [:]) }, database, &model)
        }
        try await compare(database, model, &random)
        // A whole run of ids goes, and every third of the others.
        let gone = model.live.filter { $0.key < "1002000" || Int($0.key).map { $0 % 3 == 0 } ?? false }
        try await write(
            gone.map { Edit(id: $0.key, parent: $0.value, isDeleted: true, body: [:]) }, database, &model)
        try await compare(database, model, &random)
        // Some come back, some change, some are purged.
        try await write(model.deleted.prefix(1500).map { Edit(id: $0.key, body: ["again": true]) }, database, &model)
        try await write(
            model.live.prefix(1500).map { Edit(id: $0.key, parent: $0.value, body: ["n": 2]) }, database, &model)
        let purged = Array(model.live.prefix(200)) + Array(model.deleted.prefix(200))
        _ = try await database.purge(purged.map { (id: $0.key, revisions: [$0.value]) })
        for id in purged.map(\.key) {
            // The revision before a purged tombstone or edit is no leaf, so nothing of the document is left.
            model.live[id] = nil
            model.deleted[id] = nil
            model.latest[id] = nil
        }
        try await compare(database, model, &random)
        await temporary.store.close()
        let report = try DataFolderCheck(folder: folder).check("db")
        #expect(report.problems.isEmpty)
        #expect(report.documents == model.live.count)
        #expect(report.deleted == model.deleted.count)
        try FileManager.default.removeItem(atPath: folder)
    }

    @Test("a folder of the first format is brought to today's when it is opened")
    func upgrade() async throws {
        let temporary = try await TemporaryStore()
        let folder = temporary.folder
        let database = try await temporary.store.createDatabase("db")
        var model = CountModel()
        try await write((0..<3000).map { Edit(id: "a\($0)", body: [:]) }, database, &model)
        try await write(
            model.live.prefix(700).map { Edit(id: $0.key, parent: $0.value, isDeleted: true, body: [:]) }, database,
            &model)
        await temporary.store.close()
        let file = try DatabaseQueue(path: folder + "/databases/db.db")
        try await file.write { database in
            try database.execute(
                sql: """
                    DROP TABLE id_counts; DROP TABLE sequence_counts; DROP INDEX documents_by_id;
                    CREATE UNIQUE INDEX documents_by_id ON documents (id, deleted); PRAGMA user_version = 1;
                    """)
        }
        try file.close()
        let again = try await Store.open(folder: folder, logger: Logger(label: "test"))
        let opened = try #require(try await again.database("db"))
        var random = SeededRandom(seed: 8)
        try await compare(opened, model, &random)
        try await write((0..<1000).map { Edit(id: "b\($0)", body: [:]) }, opened, &model)
        try await compare(opened, model, &random)
        await again.close()
        #expect(try DataFolderCheck(folder: folder).check("db").problems == [])
        try FileManager.default.removeItem(atPath: folder)
    }
}
