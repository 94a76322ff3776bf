import CouchDocument
import CouchStore
import Foundation
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
}
