import CouchDocument
import CouchStore
import Testing

@Suite("Revision rules")
struct RevisionRulesTests {
    @Test("a new document gets CouchDB's own first revision")
    func firstRevision() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            let revision = try await database.put("a")
            #expect(revision.description == "1-967a00dff5e02add41819138abb3284d")
            let stored = try #require(try await database.read("a"))
            #expect(stored.revision == revision)
            #expect(text(stored.body) == "{}")
            #expect(stored.sequence == 1)
        }
    }

    @Test("the next revision follows the one that is stated; any other is a conflict")
    func conflict() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            let first = try await database.put("a", ["n": 1])
            let second = try await database.put("a", ["n": 2], after: first)
            #expect(second.generation == 2)
            #expect(try await database.write(Edit(id: "a", parent: first, body: ["n": 3])).isConflict)
            #expect(try await database.write(Edit(id: "a", body: ["n": 3])).isConflict)
            let stranger = Revision(generation: 2, hash: "abc")
            #expect(try await database.write(Edit(id: "a", parent: stranger, body: ["n": 3])).isConflict)
            #expect(text(try await database.read("a")?.body) == #"{"n":2}"#)
        }
    }

    @Test("a new document continues the history of a deleted one")
    func recreation() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            let first = try await database.put("a", ["n": 1])
            let tombstone = try await database.delete("a", first)
            #expect(tombstone.generation == 2)
            let winner = try #require(try await database.read("a"))
            #expect(winner.isDeleted)
            let third = try await database.put("a", ["n": 3])
            #expect(third == Revision(editing: tombstone, isDeleted: false, body: ["n": 3]))
            #expect(try await database.read("a")?.tree.path(to: third) == [third, tombstone, first])
            let info = try await database.info()
            #expect(info.documentCount == 1)
            #expect(info.deletedCount == 0)
        }
    }

    @Test("a revision stated for an unknown document is taken for its parent")
    func unknownParent() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            let parent = Revision(generation: 1, hash: "aaa")
            let revision = try await database.put("a", after: parent)
            #expect(revision.generation == 2)
            let stored = try #require(try await database.read("a"))
            #expect(stored.tree.path(to: revision) == [revision, parent])
            #expect(try await database.read("a", revision: parent) == nil)
        }
    }

    @Test("a replaced revision can be read until a compaction, and the winner after it")
    func oldRevisions() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            let first = try await database.put("a", ["n": 1])
            let second = try await database.put("a", ["n": 2], after: first)
            #expect(text(try await database.read("a", revision: first)?.body) == #"{"n":1}"#)
            #expect(
                try await database.revisionStatuses(of: "a", revision: second).map(\.status)
                    == [.available, .available])
            try await database.compact()
            #expect(try await database.read("a", revision: first) == nil)
            #expect(text(try await database.read("a", revision: second)?.body) == #"{"n":2}"#)
            #expect(
                try await database.revisionStatuses(of: "a", revision: second).map(\.status) == [.available, .missing])
        }
    }

    @Test("a branch remembers no more revisions than the limit")
    func stemming() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            try await database.setRevisionsLimit(3)
            var revision = try await database.put("a")
            for number in 1...9 { revision = try await database.put("a", ["n": .integer(number)], after: revision) }
            #expect(revision.generation == 10)
            #expect(try await database.read("a")?.tree.path(to: revision).map(\.generation) == [10, 9, 8])
        }
    }

    @Test("within one write the first edit of an id wins and the second conflicts")
    func sameIDTwice() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            let first = try await database.put("old")
            let outcomes = try await database.write([
                Edit(id: "a", body: ["n": 1]), Edit(id: "a", body: ["n": 2]), Edit(id: "b", body: [:]),
                Edit(id: "old", parent: first, isDeleted: true, body: [:]), Edit(id: "old", body: ["n": 3]),
            ])
            #expect(outcomes.map(\.isConflict) == [false, true, false, false, true])
            #expect(text(try await database.read("a")?.body) == #"{"n":1}"#)
            #expect(try await database.read("old")?.isDeleted == true)
        }
    }

    @Test("ids hold any text")
    func anyID() async throws {
        try await TemporaryStore.withDatabase("with/slash+and$more") { database, _ in
            let ids = ["a b", "%2F", "a+b", "x&y#z/ü", "line\nbreak", "日本", "nul\u{0}l", "\u{1F600}"]
            _ = try await database.write(ids.map { Edit(id: $0, body: ["id": .string($0)]) })
            for id in ids {
                let stored = try #require(try await database.read(id))
                #expect(stored.document().id == id)
                #expect(stored.document()["id"] == .string(id))
            }
            let listed = try await database.allDocuments(AllDocumentsQuery()).documents.map(\.id)
            #expect(listed == ids.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
        }
    }

    @Test("local documents count their revisions and know no conflict")
    func localDocuments() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            func put(_ body: JSONObject, _ parent: String? = nil) async throws -> String? {
                try await database.write(
                    Edit(id: "_local/x", parent: parent.flatMap { Revision($0) }, body: body)
                ).revision?.description
            }
            #expect(try await put(["n": 1]) == "0-1")
            #expect(try await put(["n": 2], "0-1") == "0-2")
            #expect(try await put(["n": 3]) == "0-1")
            #expect(try await database.localDocument("_local/x")?.fields == ["_id": "_local/x", "_rev": "0-1", "n": 3])
            #expect(try await database.info().updateSequence == 0)
            let gone = try await database.write(Edit(id: "_local/x", isDeleted: true, body: [:]))
            #expect(gone.revision?.description == "0-0")
            #expect(try await database.localDocument("_local/x") == nil)
            let again = try await database.write(Edit(id: "_local/x", isDeleted: true, body: [:]))
            #expect(again.error?.code == .notFound)
        }
    }
}
