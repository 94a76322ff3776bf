import CouchDocument
import CouchStore
import Foundation
import Logging
import Testing

@Suite("The store")
struct StoreTests {
    private let logger = Logger(label: "test")

    @Test("concurrent writers share commits, and each gets its own answers")
    func groupCommit() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            let writers = 64
            let each = 20
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<writers {
                    group.addTask {
                        for number in 0..<each {
                            let body: JSONObject = ["writer": .integer(writer)]
                            let outcomes = try await database.write([
                                Edit(id: "\(writer)-\(number)", body: body), Edit(id: "shared-\(number)", body: body),
                            ])
                            #expect(outcomes[0].revision == Revision(editing: nil, isDeleted: false, body: body))
                            #expect(outcomes[1].revision != nil || outcomes[1].isConflict)
                        }
                    }
                }
                try await group.waitForAll()
            }
            let info = try await database.info()
            #expect(info.documentCount == writers * each + each)
            #expect(info.updateSequence == writers * each + each)
            // Alone, each write would have been a commit of its own.
            #expect(info.commitCount < writers * each)
        }
    }

    @Test("of many who change one revision exactly one succeeds")
    func race() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            var parent = try await database.put("a")
            for round in 0..<10 {
                let base = parent
                let winners = try await withThrowingTaskGroup(of: Revision?.self, returning: [Revision].self) { group in
                    for racer in 0..<32 {
                        group.addTask {
                            let body: JSONObject = ["round": .integer(round), "racer": .integer(racer)]
                            return try await database.write(Edit(id: "a", parent: base, body: body)).revision
                        }
                    }
                    return try await group.compactMap { $0 }.reduce(into: []) { $0.append($1) }
                }
                #expect(winners.count == 1)
                parent = try #require(winners.first)
            }
        }
    }

    @Test("a validation refuses single edits and sees the document as it was and as it would be")
    func validation() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            let validation: EditValidation = { new, old in
                if new["n"] == 0 { throw StoreError(.forbidden, "n was \(old?["n"] ?? nil)") }
            }
            let first = try await database.put("a", ["n": 1])
            let outcomes = try await database.write(
                [
                    Edit(id: "a", parent: first, body: ["n": 0]), Edit(id: "b", body: ["n": 5]),
                    Edit(id: "c", body: ["n": 0]), Edit(id: "_local/l", body: ["n": 0]),
                    Edit(id: "a", body: ["n": 2]),
                ], validation: validation)
            #expect(outcomes[0].error == StoreError(.forbidden, "n was 1"))
            #expect(outcomes[1].revision != nil)
            #expect(outcomes[2].error == StoreError(.forbidden, "n was null"))
            #expect(outcomes[3].revision != nil)
            #expect(outcomes[4].isConflict)
            #expect(try await database.read("c") == nil)
        }
    }

    @Test("everything is there when the folder is opened again")
    func reopen() async throws {
        let temporary = try await TemporaryStore()
        let folder = temporary.folder
        let uuid = temporary.store.uuid
        for name in ["b", "a/x+y", "_users"] {
            let database = try await temporary.store.createDatabase(name)
            let first = try await database.put("doc", ["n": 1], attachments: [.init(name: "x", content: .bytes([9]))])
            _ = try await database.put("doc", ["n": 2], after: first, attachments: [.init(name: "x", content: .stub)])
            try await database.setSecurity(["admins": .object(["names": ["bob"]])])
            try await database.setRevisionsLimit(17)
        }
        await temporary.store.close()
        let again = try await Store.open(folder: folder, logger: logger)
        #expect(again.uuid == uuid)
        #expect(again.databaseNames() == ["_users", "a/x+y", "b"])
        for name in again.databaseNames() {
            let database = try #require(try await again.database(name))
            let document = try #require(try await database.read("doc"))
            #expect(text(document.body) == #"{"n":2}"#)
            #expect(try await database.content(of: document.attachments[0]).read(at: 0, count: 5) == [9])
            #expect(database.security == ["admins": .object(["names": ["bob"]])])
            #expect(database.revisionsLimit == 17)
            #expect(database.lastSequence == 2)
            #expect(try await database.info().documentCount == 1)
        }
        await again.close()
        try FileManager.default.removeItem(atPath: folder)
    }

    @Test("a folder in use is refused in one line, and free again after the store closed")
    func folderLock() async throws {
        let temporary = try await TemporaryStore()
        await #expect { try await Store.open(folder: temporary.folder, logger: logger) } throws: { error in
            guard let error = error as? StoreError else { return false }
            return error.code == .locked && error.reason.contains(temporary.folder) && !error.reason.contains("\n")
        }
        await temporary.store.close()
        let again = try await Store.open(folder: temporary.folder, logger: logger)
        await again.close()
        try FileManager.default.removeItem(atPath: temporary.folder)
    }

    @Test("a database whose making was cut short is not there, and can be made")
    func unfinishedDatabase() async throws {
        let temporary = try await TemporaryStore()
        await temporary.store.close()
        let file = temporary.folder + "/databases/half.db.new"
        #expect(FileManager.default.createFile(atPath: file, contents: Data(count: 4096)))
        let again = try await Store.open(folder: temporary.folder, logger: logger)
        #expect(again.databaseNames().isEmpty)
        #expect(!FileManager.default.fileExists(atPath: file))
        try await again.createDatabase("half").put("a")
        await again.close()
        try FileManager.default.removeItem(atPath: temporary.folder)
    }

    @Test("names of databases follow CouchDB's rules")
    func names() async throws {
        let temporary = try await TemporaryStore()
        let store = temporary.store
        for name in ["Bad", "9a", "", "a b", "a.b", "_x", "../x", "ü"] {
            await #expect { try await store.createDatabase(name) } throws: {
                ($0 as? StoreError)?.code == .illegalDatabaseName
            }
        }
        for name in ["a", "a/b", "a_$()+-/9", "_users", "_replicator"] { _ = try await store.createDatabase(name) }
        await #expect { try await store.createDatabase("a") } throws: { ($0 as? StoreError)?.code == .exists }
        #expect(store.databaseNames() == ["_replicator", "_users", "a", "a/b", "a_$()+-/9"])
        #expect(try await store.database("b") == nil)
        try await temporary.remove()
    }

    @Test("a deleted database is gone with its files, and its name can be used at once")
    func deletion() async throws {
        let temporary = try await TemporaryStore()
        let store = temporary.store
        for round in 0..<5 {
            let database = try await store.createDatabase("a/b")
            #expect(try await database.info().documentCount == 0)
            _ = try await database.put(
                "doc", ["round": .integer(round)],
                attachments: [.init(name: "x", content: .bytes([UInt8](repeating: 1, count: 400_000)))])
            try await store.deleteDatabase("a/b")
            #expect(try await store.database("a/b") == nil)
            await #expect { try await store.deleteDatabase("a/b") } throws: { ($0 as? StoreError)?.code == .notFound }
        }
        let files = try FileManager.default.subpathsOfDirectory(atPath: temporary.folder)
        #expect(files.filter { $0.contains("%2F") }.isEmpty)
        try await temporary.remove()
    }

    @Test("a database may be deleted while many read it: each read ends, with an answer or the word that it is gone")
    func deletionUnderReaders() async throws {
        let temporary = try await TemporaryStore()
        let store = temporary.store
        for _ in 0..<20 {
            let database = try await store.createDatabase("short-lived")
            _ = try await database.put("doc", [:])
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<16 {
                    group.addTask {
                        do {
                            while true { _ = try await database.read("doc") }
                        } catch let error as StoreError where error.code == .closed || error.code == .notFound {
                            // The end that every reader must see.
                        }
                    }
                }
                try await store.deleteDatabase("short-lived")
                try await group.waitForAll()
            }
        }
        try await temporary.remove()
    }

    @Test("a database may be deleted while it is compacted: the compaction ends, and nothing of it is left")
    func deletionUnderCompaction() async throws {
        let temporary = try await TemporaryStore()
        let store = temporary.store
        for delay in 0..<60 {
            let database = try await store.createDatabase("short-lived")
            _ = try await database.put("doc", [:])
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    do {
                        try await database.compact()
                    } catch let error as StoreError where error.code == .closed {
                        // It was too late.
                    }
                }
                for _ in 0..<delay * 20 { await Task.yield() }
                try await store.deleteDatabase("short-lived")
                try await group.waitForAll()
            }
            #expect(store.databaseNames().isEmpty)
        }
        try await temporary.remove()
    }

    @Test("a new database is for admins only, and its id and birth stay")
    func settings() async throws {
        try await TemporaryStore.withDatabase { database, temporary in
            #expect(
                database.security.description
                    == #"{"members":{"roles":["_admin"]},"admins":{"roles":["_admin"]}}"#)
            let again = try #require(try await temporary.store.database("db"))
            #expect(again === database)
            #expect(Int(database.instanceStartTime) ?? 0 > 1_600_000_000)
            #expect(database.uuid.utf8.count == 32)
        }
    }

    @Test("random histories in the store give what their trees say")
    func randomHistories() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            var random = SeededRandom(seed: 42)
            for document in 0..<20 {
                var tree: RevisionTree?
                var bodies: [Revision: Int] = [:]
                for number in 0..<25 {
                    let leaf = tree?.leaves.randomElement(using: &random)
                    let isDeleted = Int.random(in: 0..<5, using: &random) == 0
                    var path = leaf.flatMap { tree?.path(to: $0.revision) } ?? []
                    path.removeFirst(Int.random(in: 0...min(2, path.count), using: &random))
                    let next = Revision(generation: (path.first?.generation ?? 0) + 1, hash: "\(document)x\(number)")
                    path.insert(next, at: 0)
                    if tree == nil { tree = RevisionTree(next, isDeleted: isDeleted) }
                    tree?.merge(path: path, isDeleted: isDeleted)
                    bodies[next] = number
                    let edit = Edit(
                        id: "d\(document)", lineage: .replicated(path), isDeleted: isDeleted,
                        body: ["n": .integer(number)])
                    #expect(try await database.write(edit).revision == next)
                }
                let stored = try #require(try await database.read("d\(document)"))
                let expected = try #require(tree)
                #expect(stored.tree == expected)
                #expect(stored.revision == expected.winner.revision)
                #expect(stored.isDeleted == expected.winner.isDeleted)
                for (revision, number) in bodies {
                    #expect(
                        text(try await database.read("d\(document)", revision: revision)?.body) == #"{"n":\#(number)}"#)
                }
            }
            let info = try await database.info()
            let all = try await database.changes(ChangesRange()).changes
            #expect(info.deletedCount == all.filter(\.isDeleted).count)
            #expect(info.documentCount == all.count - info.deletedCount)
        }
    }
}
