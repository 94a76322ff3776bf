import CouchDocument
import GRDB

extension StoredDatabase {
    /// Takes these leaves out as if they had never been (`_purge`); answers for each document the leaves that were there.
    package func purge(_ revisions: [(id: String, revisions: [Revision])]) async throws -> [(
        id: String, purged: [Revision]
    )] {
        try await change("purge") { writer in
            try revisions.map { ($0.id, try writer.purge($0.id, $0.revisions)) }
        }
    }
}

extension EditWriter {
    mutating func purge(_ id: String, _ revisions: [Revision]) throws -> [Revision] {
        guard let current = try rows.winner(id, withBody: false) else { return [] }
        var tree = current.tree
        var purged: [Revision] = []
        for revision in revisions where tree.purge(revision) {
            purged.append(revision)
            try SQLStatement(database, "DELETE FROM revisions WHERE number = ? AND revision = ?")
                .bind(1, current.number).bind(2, revision.encoded).run()
        }
        guard !purged.isEmpty else { return [] }
        if id.hasPrefix("_design/") { touchesDesignDocuments = true }
        state.sequence += 1
        state.purgeSequence = state.sequence
        try SQLStatement(database, "INSERT INTO purges (sequence, id) VALUES (?, ?)")
            .bind(1, state.sequence).bind(2, id).run()
        if purged.contains(current.winner) { state.bodyBytes -= try bodySize(of: current) }
        if tree.isEmpty {
            try SQLStatement(database, "DELETE FROM revisions WHERE number = ?").bind(1, current.number).run()
            try SQLStatement(database, "DELETE FROM documents WHERE sequence = ?").bind(1, current.sequence).run()
            sequenceCounts.move(from: current.sequence, to: nil)
            try count(id, isDeleted: current.isDeleted, by: -1)
            return purged
        }
        try replaceWinner(of: current, by: tree, wasPurged: purged.contains(current.winner))
        return purged
    }

    /// Puts the document that remains at the end of the sequence log.
    private mutating func replaceWinner(of current: StoredDocument, by tree: RevisionTree, wasPurged: Bool) throws {
        state.sequence += 1
        let leaves = tree.leaves
        let winner = leaves[0]
        let encodedTree = tree.count > 1 ? tree.encoded() : nil
        guard wasPurged else {
            try moveRow(of: current, leaves: leaves.count, encodedTree)
            return
        }
        let (attachments, body) = try takeBack(winner.revision, of: current)
        try moveRow(of: current, leaves: leaves.count, encodedTree, to: winner, attachments, body)
    }
}
