import CouchDocument
import CouchStore
import Testing

@Suite("Changes")
struct ChangesTests {
    @Test("every document stands at its latest change, in the order of changes")
    func order() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            let first = try await database.put("a")
            _ = try await database.put("b")
            _ = try await database.put("c")
            let second = try await database.put("a", ["n": 2], after: first)
            let page = try await database.changes(ChangesRange())
            #expect(page.changes.map(\.id) == ["b", "c", "a"])
            #expect(page.changes.map(\.sequence) == [2, 3, 4])
            #expect(page.changes.last?.revision == second)
            #expect(page.updateSequence == 4)
            #expect(!page.hasMore)
            #expect(database.lastSequence == 4)
        }
    }

    @Test("pages follow each other and descending begins at the end")
    func pages() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            _ = try await database.write((0..<10).map { Edit(id: "d\($0)", body: ["n": .integer($0)]) })
            var since = 0
            var seen: [String] = []
            repeat {
                let page = try await database.changes(ChangesRange(since: since, limit: 3, includesBodies: true))
                seen += page.changes.map(\.id)
                #expect(page.changes.allSatisfy { $0.document.body.count > 2 })
                since = page.changes.last?.sequence ?? since
                if !page.hasMore { break }
            } while true
            #expect(seen == (0..<10).map { "d\($0)" })
            let last = try await database.changes(ChangesRange(limit: 2, isDescending: true))
            #expect(last.changes.map(\.id) == ["d9", "d8"])
            #expect(try await database.pendingChanges(after: 4) == 6)
            #expect(try await database.pendingChanges(after: 0) == 10)
            let some = try await database.changes(ChangesRange(since: 2, ids: ["d7", "d0", "nix", "d3", "d7"]))
            #expect(some.changes.map(\.id) == ["d3", "d7"])
        }
    }

    @Test("a change names all leaves and says when the document is deleted")
    func leaves() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            _ = try await database.replicate("a", ["2-b", "1-a"])
            _ = try await database.replicate("a", ["2-c", "1-a"])
            try await database.delete("x", try await database.put("x"))
            let changes = try await database.changes(ChangesRange()).changes
            #expect(changes[0].leaves.map(\.revision.description) == ["2-c", "2-b"])
            #expect(changes[1].isDeleted)
            #expect(changes[1].leaves.count == 1)
        }
    }

    @Test("waiters wake at the next change, thousands of them")
    func waiting() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<3000 { group.addTask { try await database.waitForChange(after: 0) } }
                _ = try await database.put("a")
                for try await sequence in group { #expect(sequence == 1) }
            }
            #expect(try await database.waitForChange(after: 0) == 1)
        }
    }

    @Test("a waiter that is cancelled stops waiting, and so do all when the database goes")
    func cancelledWaiting() async throws {
        let temporary = try await TemporaryStore()
        let database = try await temporary.store.createDatabase("db")
        let cancelled = Task { try await database.waitForChange(after: 0) }
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        let left = Task { try await database.waitForChange(after: 0) }
        try await temporary.store.deleteDatabase("db")
        await #expect { try await left.value } throws: { ($0 as? StoreError)?.code == .closed }
        await #expect { try await database.read("a") } throws: { ($0 as? StoreError)?.code == .closed }
        await #expect { try await database.put("a") } throws: { ($0 as? StoreError)?.code == .closed }
        try await temporary.remove()
    }

    @Test("all documents come in the order of their ids' bytes, from and to any id, either way")
    func allDocuments() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            let ids = ["Z", "a", "aa", "b", "ä", "_design/x"]
            _ = try await database.write(ids.map { Edit(id: $0, body: [:]) })
            try await database.delete("gone", try await database.put("gone"))
            func list(_ change: (inout AllDocumentsQuery) -> Void = { _ in }) async throws -> [String] {
                var query = AllDocumentsQuery()
                change(&query)
                return try await database.allDocuments(query).documents.map(\.id)
            }
            #expect(try await list() == ["Z", "_design/x", "a", "aa", "b", "ä"])
            #expect(try await list { $0.isDescending = true } == ["ä", "b", "aa", "a", "_design/x", "Z"])
            #expect(try await list { ($0.startKey, $0.endKey) = ("a", "b") } == ["a", "aa", "b"])
            #expect(
                try await list {
                    ($0.startKey, $0.endKey, $0.inclusiveEnd, $0.startIsExclusive) = ("a", "b", false, true)
                } == ["aa"])
            #expect(
                try await list { ($0.startKey, $0.endKey, $0.isDescending) = ("b", "a", true) } == ["b", "aa", "a"])
            #expect(try await list { ($0.skip, $0.limit) = (1, 2) } == ["_design/x", "a"])
            var query = AllDocumentsQuery(limit: 1)
            (query.startKey, query.wantsOffset, query.includesBodies) = ("aa", true, true)
            let page = try await database.allDocuments(query)
            #expect(page.totalRows == 6)
            #expect(page.offset == 3)
            #expect(text(page.documents[0].body) == "{}")
            #expect(try await database.designDocuments().map(\.name) == ["x"])
            _ = try await database.put("_design/y")
            #expect(try await database.designDocuments().map(\.name) == ["x", "y"])
        }
    }
}
