import CouchDocument

/// Branches that turn out to be one: a replicated edit brings ancestors of a revision whose history was cut off.
extension EditWriter {
    /// Takes in what a known revision tells of its ancestors. Its body is kept if it was not here, as CouchDB does.
    mutating func join(
        _ prepared: PreparedEdit, _ revision: Revision, tree merged: RevisionTree, _ attachments: [StoredAttachment],
        over current: StoredDocument
    ) throws -> EditOutcome {
        var tree = merged
        tree.stem(to: settings.revisionsLimit)
        if tree == current.tree { return .saved(revision, sequence: current.sequence) }
        let leaves = tree.leaves
        let winner = leaves[0]
        state.sequence += 1
        if revision != current.winner, try rows.revision(revision, of: current) == nil {
            try SQLStatement(
                database, "INSERT INTO revisions (number, revision, leaf, attachments, body) VALUES (?, ?, 0, ?, ?)"
            )
            .bind(1, current.number).bind(2, revision.encoded).bind(3, AttachmentCoding.encode(attachments))
            .bind(4, prepared.body).run()
            state.supersededBytes += prepared.body.count
        }
        if winner.revision == current.winner {
            try moveRow(of: current, leaves: leaves.count, tree.encoded())
        } else {
            // The winner was no end after all: its descendant stands for the document now.
            try moveWinnerAside(of: current, isLeaf: false)
            let (winnersAttachments, body) = try takeBack(winner.revision, of: current)
            try moveRow(of: current, leaves: leaves.count, tree.encoded(), to: winner, winnersAttachments, body)
        }
        return .saved(revision, sequence: state.sequence)
    }

    /// Marks the losers that are leaves no more, for the next compaction. The winner is dealt with where its row moves.
    mutating func markReplacedLeaves(of current: StoredDocument, in tree: RevisionTree) throws {
        guard current.hasOtherLeaves else { return }
        for leaf in current.tree.leaves where leaf.revision != current.winner && !tree.isLeaf(leaf.revision) {
            try markAsReplaced(leaf.revision, of: current)
        }
    }
}
