import CouchDocument
import CouchStore
import Foundation
import GRDB
import Logging
import Testing

@Suite("Copies and checks of a data folder")
struct DataFolderTests {
    private func filled(_ database: StoredDatabase) async throws {
        for number in 0..<300 {
            let large = [UInt8](repeating: UInt8(number % 7), count: 300_000 + number % 7)
            let attachment = EditedAttachment(name: "a b/ü", content: .bytes(number % 50 == 0 ? large : [1, 2, 3]))
            try await database.put("doc \(number)", ["n": .integer(number)], attachments: [attachment])
        }
        try await database.delete("doc 7", try #require(try await database.read("doc 7")).revision)
        _ = try await database.replicate("doc 8", ["2-b", "1-b"], ["n": 8])
    }

    @Test("a copy that is made while others write holds each database as it was at one moment")
    func onlineCopy() async throws {
        let temporary = try await TemporaryStore()
        let database = try await temporary.store.createDatabase("a/b")
        try await filled(database)
        let design = DesignDocument(map: "function(doc){emit(doc.n)}")
        _ = try await database.views.query(design: design, view: "v", ViewIndexQuery())
        let target = temporary.folder + "-copy"
        let writing = Task {
            // Pairs that are written together are copied together or not at all.
            var number = 0
            while !Task.isCancelled {
                _ = try await database.write([Edit(id: "x\(number)", body: [:]), Edit(id: "y\(number)", body: [:])])
                number += 1
            }
        }
        while database.lastSequence < 400 { try await database.waitForChange(after: database.lastSequence) }
        let summary = try await Task.detached {
            try DataFolderBackup(of: temporary.folder, to: target, includesViews: true).run { _ in }
        }.value
        writing.cancel()
        try await writing.value
        #expect(summary.databases == 1)
        #expect(summary.attachments == 6)
        #expect(summary.indexes == 1)
        let check = try DataFolderCheck(folder: target)
        #expect(try check.names() == ["a/b"])
        #expect(check.check("a/b").problems == [])
        let copy = try await Store.open(folder: target, logger: Logger(label: "test"))
        #expect(copy.uuid == temporary.store.uuid)
        let copied = try #require(try await copy.database("a/b"))
        let page = try await copied.allDocuments(AllDocumentsQuery(limit: .max))
        let ids = Set(page.documents.map(\.id))
        #expect(ids.count > 300)
        #expect(ids.filter { $0.hasPrefix("x") }.count == ids.filter { $0.hasPrefix("y") }.count)
        let rows = try await copied.views.query(design: design, view: "v", ViewIndexQuery()).rows
        #expect(rows.count == ids.count)
        let document = try #require(try await copied.read("doc 50"))
        #expect(try await copied.content(of: document.attachments[0]).read(at: 0, count: 9).count == 9)
        await copy.close()
        #expect(throws: StoreError.self) {
            try DataFolderBackup(of: temporary.folder, to: target, includesViews: false)
        }
        try FileManager.default.removeItem(atPath: target)
        try await temporary.remove()
    }

    @Test("damage is told with the database and the place, and other databases are sound")
    func damage() async throws {
        let temporary = try await TemporaryStore()
        for name in ["good", "torn", "gone"] { try await filled(temporary.store.createDatabase(name)) }
        await temporary.store.close()
        let torn = temporary.folder + "/databases/torn.db"
        let handle = try #require(FileHandle(forUpdatingAtPath: torn))
        // Inner pages, past the header that says what the file is.
        let pages = try handle.seekToEnd() / 4096
        try handle.seek(toOffset: 5 * 4096)
        try handle.write(contentsOf: Data(repeating: 0xA5, count: Int(pages - 5) * 4096))
        try handle.close()
        let files = temporary.folder + "/attachments/gone"
        let first = try #require(try FileManager.default.contentsOfDirectory(atPath: files).min())
        try FileManager.default.removeItem(atPath: files + "/" + first)
        let check = try DataFolderCheck(folder: temporary.folder)
        #expect(check.check("good").problems == [])
        #expect(check.check("good").documents == 299)
        #expect(check.check("good").deleted == 1)
        #expect(!check.check("torn").problems.isEmpty)
        let missing = check.check("gone").problems
        #expect(missing.count == 1)
        #expect(missing.first?.contains(first.split(separator: "-")[0]) == true)
        // A server still serves the others, and says of this one what is wrong.
        let store = try await Store.open(folder: temporary.folder, logger: Logger(label: "test"))
        #expect(try await store.database("good")?.read("doc 1") != nil)
        await #expect { try await store.database("torn")?.allDocuments(AllDocumentsQuery(limit: .max)) } throws: {
            guard let error = $0 as? StoreError else { return false }
            return error.code == .failed && error.reason.contains("torn") && error.reason.contains("damaged")
        }
        await store.close()
        try FileManager.default.removeItem(atPath: temporary.folder)
    }

    private func save(_ design: DesignDocument, _ database: StoredDatabase) async throws {
        var body = design.document.fields
        body["_id"] = nil
        try await database.put(design.document.id, body)
    }

    /// Changes the first node of the one view index of a folder that `change` has something to change in.
    private func damageNode(_ folder: String, _ change: (inout [UInt8]) -> Bool) throws {
        let views = folder + "/views/db"
        let name = try #require(
            try FileManager.default.contentsOfDirectory(atPath: views).first { $0.hasSuffix(".db") })
        let queue = try DatabaseQueue(path: views + "/" + name)
        try queue.write { database in
            let nodes = try Row.fetchAll(database, sql: "SELECT id, body FROM node ORDER BY id")
            for node in nodes {
                var body = Array(node["body"] as Data)
                guard change(&body) else { continue }
                let arguments: StatementArguments = [Data(body), node["id"] as Int]
                try database.execute(sql: "UPDATE node SET body = ? WHERE id = ?", arguments: arguments)
                return
            }
            Issue.record("no node was changed")
        }
        try queue.close()
    }

    /// Puts other bytes of the same length in the place of these.
    private func replace(_ old: String, by new: String, in body: inout [UInt8]) -> Bool {
        let old = Array(old.utf8)
        guard let start = body.indices.first(where: { body[$0...].starts(with: old) }) else { return false }
        body.replaceSubrange(start..<start + old.count, with: new.utf8)
        return true
    }

    @Test("view indexes are compared with new ones: a row that is another is told with its view, and so is a wrong sum")
    func viewDamage() async throws {
        let temporary = try await TemporaryStore()
        let database = try await temporary.store.createDatabase("db")
        var design = DesignDocument(map: "function (doc) { emit(doc.n, 'v' + doc.n) }", reduce: "_count")
        design.views["w"] = .init(map: "function (doc) { emit(doc._id, doc.n) }", reduce: "_sum")
        try await save(design, database)
        _ = try await database.write((0..<2000).map { Edit(id: "doc\($0)", body: ["n": .integer($0)]) })
        _ = try await database.views.query(design: design, view: "v", ViewIndexQuery())
        // Changes that the index has not seen, some of documents that have rows.
        try await database.delete("doc7", try #require(try await database.read("doc7")).revision)
        try await database.put("doc8", ["n": -8], after: try #require(try await database.read("doc8")).revision)
        _ = try await database.purge([("doc9", [try #require(try await database.read("doc9")).revision])])
        try await database.put("later", ["n": 5000])
        await temporary.store.close()
        let check = try DataFolderCheck(folder: temporary.folder)
        let sound = check.check("db")
        #expect(sound.problems == [] && sound.indexes == 1)

        // The value of one row, in a way that every structure stays as it is.
        try damageNode(temporary.folder) { replace("\"v1234\"", by: "\"v1235\"", in: &$0) }
        let other = check.check("db").problems
        #expect(other.count == 1)
        #expect(other.first?.contains("view \"v\" of _design/d") == true)
        #expect(other.first?.contains("0 are missing, 0 too many, 1 different") == true)
        #expect(other.first?.contains("document \"doc1234\" with key 1234") == true)
        #expect(check.check("db", comparesRows: false).problems == [])
        try damageNode(temporary.folder) { replace("\"v1235\"", by: "\"v1234\"", in: &$0) }
        #expect(check.check("db").problems == [])

        // A sum that an inner node keeps: nothing but the reductions differs.
        try damageNode(temporary.folder) { body in
            guard body[0] > 0, body[body.count - 1] != 0 else { return false }
            body[body.count - 1] ^= 1
            return true
        }
        let sum = check.check("db").problems
        #expect(sum.count == 1)
        #expect(sum.first?.contains("reductions") == true, "\(sum)")
        try FileManager.default.removeItem(atPath: temporary.folder)
    }

    @Test("nodes of a view index that say anything are told as damaged", arguments: [1, 2, 3])
    func brokenNodes(seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        let temporary = try await TemporaryStore()
        let database = try await temporary.store.createDatabase("db")
        let design = DesignDocument(map: "function (doc) { emit([doc.n, 'é'], {a: doc.n}) }", reduce: "_stats")
        try await save(design, database)
        _ = try await database.write((0..<500).map { Edit(id: "doc\($0)", body: ["n": .integer($0)]) })
        var query = ViewIndexQuery()
        query.reduce = false
        _ = try await database.views.query(design: design, view: "v", query)
        await temporary.store.close()
        let check = try DataFolderCheck(folder: temporary.folder)
        #expect(check.check("db").problems == [])
        for _ in 0..<12 {
            var saved: [UInt8] = []
            var broken: [UInt8] = []
            var skip = Int(random.next() % 12)
            try damageNode(temporary.folder) { body in
                skip -= 1
                if skip >= 0 && body.count > 1 && skip < 5 { return false }
                saved = body
                body[Int(random.next() % UInt64(body.count))] ^= UInt8(1 + random.next() % 255)
                broken = body
                return true
            }
            #expect(check.check("db").problems.count == 1)
            try damageNode(temporary.folder) { body in
                guard body == broken else { return false }
                body = saved
                return true
            }
        }
        try FileManager.default.removeItem(atPath: temporary.folder)
    }
}
