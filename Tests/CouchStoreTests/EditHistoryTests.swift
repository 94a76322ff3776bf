import CouchDocument
import CouchStore
import Testing

/// A database as plain tables, slow and evident: what random edits must lead to.
private struct NaiveDatabase {
    var trees: [String: NaiveTree] = [:]
    var bodies: [Revision: JSONObject] = [:]
    /// The latest change of each document, in order.
    var log: [String] = []

    func winner(_ id: String) -> Revision? { trees[id]?.leaves.first }
    func isDeleted(_ id: String, _ revision: Revision) -> Bool { trees[id]?.deleted.contains(revision) == true }

    mutating func note(_ id: String, _ path: [Revision], _ body: JSONObject, isDeleted: Bool) {
        let isKnown = trees[id]?.parents[path[0]] != nil
        trees[id, default: NaiveTree()].merge(path, isDeleted: isDeleted)
        if isKnown { return }
        bodies[path[0]] = body
        log.removeAll { $0 == id }
        log.append(id)
    }

    /// The revision that an edit gets; `nil` when it conflicts.
    func outcome(_ edit: Edit, parent: Revision?) -> Revision? {
        let after: Revision?
        if let parent {
            guard let tree = trees[edit.id], tree.leaves.contains(parent) else { return nil }
            after = parent
        } else if let winner = winner(edit.id) {
            guard isDeleted(edit.id, winner) else { return nil }
            after = winner
        } else {
            after = nil
        }
        return Revision(editing: after, isDeleted: edit.isDeleted, body: edit.body)
    }
}

@Suite("Edit histories")
struct EditHistoryTests {
    @Test("random edits, deletions and conflicts lead where a plain model leads", arguments: 0..<40)
    func randomEdits(seed: Int) async throws {
        var random = SeededRandom(seed: UInt64(seed))
        try await TemporaryStore.withDatabase { database, _ in
            var model = NaiveDatabase()
            for step in 0..<60 {
                let id = "doc\(Int.random(in: 0..<4, using: &random))"
                let body: JSONObject = ["step": .integer(step)]
                if Int.random(in: 0..<3, using: &random) == 0 {
                    try await replicate(id, body, &model, &random, to: database)
                } else {
                    try await edit(id, body, &model, &random, in: database)
                }
            }
            try await compare(database, model)
            try await database.compact()
            try await compare(database, model)
        }
    }

    /// A branch of its own making, from anywhere in the document's history.
    private func replicate(
        _ id: String, _ body: JSONObject, _ model: inout NaiveDatabase, _ random: inout SeededRandom,
        to database: StoredDatabase
    ) async throws {
        let known = (model.trees[id]?.parents.keys).map { $0.sorted() } ?? []
        var path = known.randomElement(using: &random).flatMap { model.trees[id]?.path($0) } ?? []
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let hash = hexadecimal((0..<16).map { _ in UInt8.random(in: 0...255, using: &random) })
            path.insert(Revision(generation: (path.first?.generation ?? 0) + 1, hash: hash), at: 0)
        }
        let isDeleted = Int.random(in: 0..<4, using: &random) == 0
        let outcome = try await database.replicate(id, path.map(\.description), body, isDeleted: isDeleted)
        #expect(outcome.revision == path[0])
        model.note(id, path, body, isDeleted: isDeleted)
    }

    /// An edit of a leaf, of a revision that is none, or of nothing.
    private func edit(
        _ id: String, _ body: JSONObject, _ model: inout NaiveDatabase, _ random: inout SeededRandom,
        in database: StoredDatabase
    ) async throws {
        let tree = model.trees[id]
        let living = tree?.leaves.filter { !model.isDeleted(id, $0) } ?? []
        let inner = (tree?.parents.keys.filter { !(tree?.leaves.contains($0) ?? false) } ?? []).sorted()
        var parent: Revision?
        switch Int.random(in: 0..<6, using: &random) {
        case 0: parent = nil
        case 1: parent = inner.randomElement(using: &random)
        default: parent = living.randomElement(using: &random)
        }
        let edit = Edit(
            id: id, parent: parent, isDeleted: parent != nil && Int.random(in: 0..<3, using: &random) == 0, body: body)
        let expected = model.outcome(edit, parent: parent)
        let outcome = try await database.write(edit)
        #expect(outcome.revision == expected)
        #expect(outcome.isConflict == (expected == nil))
        guard let expected else { return }
        let base = parent ?? model.winner(id)
        let path = [expected] + (base.flatMap { model.trees[id]?.path($0) } ?? [])
        model.note(id, path, body, isDeleted: edit.isDeleted)
    }

    private func compare(_ database: StoredDatabase, _ model: NaiveDatabase) async throws {
        for (id, tree) in model.trees {
            let stored = try #require(try await database.read(id))
            #expect(stored.revision == tree.leaves[0])
            #expect(stored.isDeleted == tree.deleted.contains(tree.leaves[0]))
            #expect(stored.tree.leaves.map(\.revision) == tree.leaves)
            #expect(stored.tree.leaves.map(\.isDeleted) == tree.leaves.map(tree.deleted.contains))
            for leaf in tree.leaves {
                #expect(stored.tree.path(to: leaf) == tree.path(leaf))
                let read = try #require(try await database.read(id, revision: leaf))
                #expect(text(read.body) == model.bodies[leaf]?.description)
            }
        }
        let living = model.trees.filter { !$0.value.deleted.contains($0.value.leaves[0]) }
        let info = try await database.info()
        #expect(info.documentCount == living.count)
        #expect(info.deletedCount == model.trees.count - living.count)
        let listed = try await database.allDocuments(AllDocumentsQuery(limit: 100)).documents
        #expect(listed.map(\.id) == living.keys.sorted())
        #expect(listed.map(\.revision) == living.keys.sorted().map { living[$0]?.leaves[0] })
        let changes = try await database.changes(ChangesRange()).changes
        #expect(changes.map(\.id) == model.log)
        #expect(changes.map(\.revision) == model.log.map { model.winner($0) })
    }
}
