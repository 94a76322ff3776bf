import CouchDocument
import CouchStore
import Foundation
import Logging
import Testing

@Suite("Views of a stored database")
struct ViewsStoreTests {
    private func withDatabase(_ body: (StoredDatabase) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "store-" + UUID().uuidString
        let store = try await Store.open(folder: folder, logger: Logger(label: "test"))
        do { try await body(store.createDatabase("db")) } catch {
            await store.close()
            try FileManager.default.removeItem(atPath: folder)
            throw error
        }
        await store.close()
        try FileManager.default.removeItem(atPath: folder)
    }

    private func rows(_ database: StoredDatabase, _ design: DesignDocument) async throws -> [String] {
        try await database.views.query(design: design, view: "v", ViewIndexQuery()).rows.map { row in
            "\(row.id ?? "") \(String(decoding: row.key, as: UTF8.self)) \(String(decoding: row.value, as: UTF8.self))"
        }
    }

    @Test("a view shows writes, edits, deletions and purges as soon as they are acknowledged")
    func follows() async throws {
        let design = DesignDocument(map: "function(doc){emit(doc.n, doc._rev.split('-')[0])}")
        try await withDatabase { database in
            let first = try #require(try await database.write(Edit(id: "a b/ü", body: ["n": 1])).revision)
            _ = try await database.write(Edit(id: "c", body: ["n": 2]))
            #expect(try await rows(database, design) == ["a b/ü 1 \"1\"", "c 2 \"1\""])
            let second = try #require(
                try await database.write(Edit(id: "a b/ü", parent: first, body: ["n": 3])).revision)
            #expect(try await rows(database, design) == ["c 2 \"1\"", "a b/ü 3 \"2\""])
            _ = try await database.write(Edit(id: "a b/ü", parent: second, isDeleted: true, body: [:]))
            #expect(try await rows(database, design) == ["c 2 \"1\""])
            let stored = try #require(try await database.read("c"))
            _ = try await database.purge([(id: "c", revisions: [stored.revision])])
            #expect(try await rows(database, design) == [])
        }
    }

    /// Recording views_map, "conflicts and deleted documents are seen once" and "what a map function may emit".
    @Test("a map function sees the winner, its conflicts and its attachments' stubs")
    func winner() async throws {
        let design = DesignDocument(
            map: "function(doc){emit(doc._id, [doc.v, doc._rev, doc._conflicts, Object.keys(doc._attachments || {})])}")
        try await withDatabase { database in
            func replicate(_ history: [String], _ value: JSON) async throws {
                let revisions = history.compactMap { Revision($0) }
                _ = try await database.write(Edit(id: "t", lineage: .replicated(revisions), body: ["v": value]))
            }
            try await replicate(["3-d", "2-b", "1-a"], "d")
            try await replicate(["2-c", "1-a"], "c")
            #expect(try await rows(database, design) == ["t \"t\" [\"d\",\"3-d\",[\"2-c\"],[]]"])
            let parent = Revision("3-d")
            _ = try await database.write(Edit(id: "t", parent: parent, isDeleted: true, body: [:]))
            #expect(try await rows(database, design) == ["t \"t\" [\"c\",\"2-c\",null,[]]"])
            let attachment = EditedAttachment(name: "f", content: .bytes([0]))
            _ = try await database.write(Edit(id: "u", body: ["v": 1], attachments: [attachment]))
            let found = try await rows(database, design)
            #expect(found.last?.hasSuffix(",null,[\"f\"]]") == true, "\(found)")
        }
    }

    @Test("who reads after each write sees it, also when the index began before and was closed meanwhile")
    func turns() async throws {
        let design = DesignDocument(map: "function(doc){emit(doc.n, null)}")
        try await withDatabase { database in
            for number in 1...50 {
                _ = try await database.write(Edit(id: "d\(number)", body: ["n": .integer(number)]))
                #expect(try await rows(database, design).count == number)
            }
            // The index catches up by itself now: closed under it, it is made anew.
            for number in 51...60 {
                _ = try await database.write(Edit(id: "d\(number)", body: ["n": .integer(number)]))
                try await database.views.cleanup(keeping: [])
                #expect(try await rows(database, design).count == number)
            }
        }
    }

    @Test("writers and readers at one time: every reader sees what was acknowledged before it asked")
    func concurrency() async throws {
        let design = DesignDocument(map: "function(doc){emit(doc.n, null)}", reduce: "_count")
        try await withDatabase { database in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<4 {
                    group.addTask {
                        for number in 0..<25 {
                            let key = task * 100 + number
                            _ = try await database.write(Edit(id: "d\(key)", body: ["n": .integer(key)]))
                            var query = ViewIndexQuery()
                            query.key = .integer(key)
                            let answer = try await database.views.query(design: design, view: "v", query)
                            #expect(answer.rows.map { Array($0.value) } == [Array("1".utf8)])
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await rows(database, design) == [" null 100"])
        }
    }
}
