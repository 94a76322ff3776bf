import CouchDocument
import CouchStore
import Testing

@Suite("Replicated edits")
struct ReplicationTests {
    @Test("a revision comes in as it is, with its history, and once only")
    func idempotent() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            let outcome = try await database.replicate("a", ["3-c", "2-b", "1-a"], ["n": 3])
            #expect(outcome.revision?.description == "3-c")
            _ = try await database.replicate("a", ["3-c", "2-b", "1-a"], ["n": 4])
            let stored = try #require(try await database.read("a"))
            #expect(stored.sequence == 1)
            #expect(text(stored.body) == #"{"n":3}"#)
            #expect(stored.tree.path(to: stored.revision).map(\.description) == ["3-c", "2-b", "1-a"])
            #expect(try await database.info().updateSequence == 1)
        }
    }

    @Test("branches conflict, the greatest leaf wins, and every leaf can be read")
    func conflicts() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            _ = try await database.replicate("a", ["2-b", "1-a"], ["n": "b"])
            _ = try await database.replicate("a", ["2-c", "1-a"], ["n": "c"])
            _ = try await database.replicate("a", ["2-a", "1-a"], ["n": "a"])
            let stored = try #require(try await database.read("a"))
            #expect(stored.revision.description == "2-c")
            #expect(stored.tree.conflicts.map(\.description) == ["2-b", "2-a"])
            for hash in ["a", "b", "c"] {
                let leaf = try await database.read("a", revision: Revision("2-\(hash)"))
                #expect(text(leaf?.body) == #"{"n":"\#(hash)"}"#)
            }
            var writer = JSONWriter()
            stored.write(to: &writer, details: [.conflicts, .revisions])
            #expect(
                text(writer.bytes)
                    == #"{"_id":"a","_rev":"2-c","n":"c","_revisions":{"start":2,"ids":["c","a"]},"_conflicts":["2-b","2-a"]}"#
            )
            try await database.compact()
            #expect(try await database.read("a", revision: Revision("2-a")) != nil)
        }
    }

    @Test("when the winner is deleted the best other leaf takes its place, body and all")
    func losersTakeOver() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            _ = try await database.replicate("a", ["2-b", "1-a"], ["n": "b"])
            _ = try await database.replicate("a", ["2-c", "1-a"], ["n": "c"])
            try await database.delete("a", Revision("2-c")!)
            var stored = try #require(try await database.read("a"))
            #expect(stored.revision.description == "2-b")
            #expect(text(stored.body) == #"{"n":"b"}"#)
            #expect(stored.leafCount(deleted: true) == 1)
            #expect(try await database.info().documentCount == 1)
            try await database.delete("a", Revision("2-b")!)
            stored = try #require(try await database.read("a"))
            #expect(stored.isDeleted)
            #expect(try await database.info().documentCount == 0)
            #expect(try await database.info().deletedCount == 1)
        }
    }

    @Test("a losing leaf can be edited, and wins once it is longer")
    func editOfLoser() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            _ = try await database.replicate("a", ["2-b", "1-a"], ["n": "b"])
            _ = try await database.replicate("a", ["2-c", "1-a"], ["n": "c"])
            let revision = try await database.put("a", ["n": "new"], after: Revision("2-b"))
            let stored = try #require(try await database.read("a"))
            #expect(stored.revision == revision)
            #expect(stored.tree.conflicts.map(\.description) == ["2-c"])
            #expect(text(try await database.read("a", revision: Revision("2-c"))?.body) == #"{"n":"c"}"#)
        }
    }

    @Test("a branch whose beginning was cut off is joined with it when somebody brings it")
    func joiningBranches() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            _ = try await database.replicate("a", ["4-d", "3-c"], ["n": "d"])
            let before = try await database.info().updateSequence
            _ = try await database.replicate("a", ["3-c", "2-b", "1-a"], ["n": "c"])
            let stored = try #require(try await database.read("a"))
            #expect(stored.revision.description == "4-d")
            #expect(stored.tree.path(to: stored.revision).map(\.description) == ["4-d", "3-c", "2-b", "1-a"])
            #expect(!stored.hasOtherLeaves)
            #expect(stored.sequence > before)
            #expect(text(try await database.read("a", revision: Revision("3-c"))?.body) == #"{"n":"c"}"#)
            let joined = try await database.info().updateSequence
            _ = try await database.replicate("a", ["3-c", "2-b", "1-a"], ["n": "c"])
            #expect(try await database.info().updateSequence == joined)
        }
    }

    @Test("a winner that turns out to be an ancestor gives its place to its descendant, deleted or not")
    func winnerBecomesAncestor() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            _ = try await database.replicate("a", ["3-c", "2-b", "1-a"], ["n": "c"])
            _ = try await database.replicate("a", ["4-d"], isDeleted: true)
            #expect(try await database.read("a")?.revision.description == "3-c")
            _ = try await database.replicate("a", ["4-d", "3-c"], isDeleted: true)
            let stored = try #require(try await database.read("a"))
            #expect(stored.revision.description == "4-d")
            #expect(stored.isDeleted)
            #expect(stored.tree.count == 4)
            #expect(text(try await database.read("a", revision: Revision("3-c"))?.body) == #"{"n":"c"}"#)
            try await database.compact()
            #expect(try await database.read("a", revision: Revision("3-c")) == nil)
            #expect(try await database.info().documentCount == 0)
            #expect(try await database.info().deletedCount == 1)
        }
    }

    @Test("open revisions are the leaves, named ones, or the latest of named ones")
    func openRevisions() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            _ = try await database.replicate("a", ["3-c", "2-b", "1-a"])
            _ = try await database.replicate("a", ["2-x", "1-a"], isDeleted: true)
            func open(_ selection: RevisionRequest.Selection, latest: Bool = false) async throws -> [String] {
                try await database.read([RevisionRequest(id: "a", selection: selection, latest: latest)])[0].map {
                    switch $0 {
                    case .found(let document): "\(document.revision)\(document.isDeleted ? " deleted" : "")"
                    case .missing(let revision): "missing \(revision?.description ?? "")"
                    }
                }
            }
            #expect(try await open(.leaves) == ["3-c", "2-x deleted"])
            let asked = ["2-b", "9-z", "2-x"].compactMap { Revision($0) }
            #expect(try await open(.revisions(asked)) == ["missing 2-b", "missing 9-z", "2-x deleted"])
            #expect(try await open(.revisions(asked), latest: true) == ["3-c", "missing 9-z", "2-x deleted"])
            #expect(try await database.read([RevisionRequest(id: "nix", selection: .leaves)])[0].isEmpty)
        }
    }

    @Test("missing revisions are named with the leaves that may be their ancestors")
    func missingRevisions() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            _ = try await database.replicate("a", ["2-b", "1-a"])
            let asked = ["1-a", "2-b", "3-c"].compactMap { Revision($0) }
            let found = try await database.missingRevisions([("a", asked), ("b", [asked[0]]), ("a", [asked[0]])])
            #expect(found.map(\.id) == ["a", "b"])
            #expect(found[0].missing.map(\.description) == ["3-c"])
            #expect(found[0].possibleAncestors.map(\.description) == ["2-b"])
            #expect(found[1].missing.map(\.description) == ["1-a"])
            #expect(found[1].possibleAncestors.isEmpty)
        }
    }

    @Test("a purged leaf leaves no trace, and the document goes with its last one")
    func purge() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            _ = try await database.replicate("a", ["2-b", "1-a"], ["n": "b"])
            _ = try await database.replicate("a", ["2-c", "1-a"], ["n": "c"])
            let purged = try await database.purge([("a", [Revision("2-c")!, Revision("1-a")!])])
            #expect(purged[0].purged.map(\.description) == ["2-c"])
            #expect(text(try await database.read("a")?.body) == #"{"n":"b"}"#)
            #expect(try await database.read("a")?.tree.count == 2)
            _ = try await database.purge([("a", [Revision("2-b")!])])
            #expect(try await database.read("a") == nil)
            #expect(try await database.info().documentCount == 0)
        }
    }
}

extension StoredDocument {
    fileprivate func leafCount(deleted: Bool) -> Int { tree.leaves.filter { $0.isDeleted == deleted }.count }
}
