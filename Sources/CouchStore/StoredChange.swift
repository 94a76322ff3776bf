import CouchDocument

/// One row of the sequence log: a document at its latest change.
package struct StoredChange: Sendable {
    /// The document's winner. Its `sequence` is the row's; its body is empty when it was not asked for.
    package let document: StoredDocument

    /// The sequence of the change.
    package var sequence: Int { document.sequence }
    /// The document's id.
    package var id: String { document.id }
    /// The winning revision.
    package var revision: Revision { document.revision }
    /// Whether the document is deleted.
    package var isDeleted: Bool { document.isDeleted }
    /// All leaves, the winner first.
    package var leaves: [RevisionTree.Leaf] {
        document.hasOtherLeaves
            ? document.tree.leaves : [RevisionTree.Leaf(revision: revision, isDeleted: isDeleted)]
    }
}

/// What to read of the sequence log. A snapshot; for a long log read page by page, each from the last sequence seen.
package struct ChangesRange: Sendable {
    /// Rows after this sequence (before it, when descending).
    package var since: Int
    /// At most this many.
    package var limit: Int
    /// Latest first. With `since` 0 from the end.
    package var isDescending: Bool
    /// Whether bodies and attachments are read too.
    package var includesBodies: Bool
    /// Only these documents, when given (`_doc_ids`): costs a look-up for each, however long the log is.
    package var ids: [String]?
    /// A page ends once its bodies have this many bytes.
    package var mostBytes = Int.max

    /// A range of the log.
    package init(
        since: Int = 0, limit: Int = 1000, isDescending: Bool = false, includesBodies: Bool = false,
        ids: [String]? = nil
    ) {
        self.since = since
        self.limit = limit
        self.isDescending = isDescending
        self.includesBodies = includesBodies
        self.ids = ids
    }
}

/// A page of the sequence log.
package struct ChangesPage: Sendable {
    /// The rows.
    package let changes: [StoredChange]
    /// The database's update sequence in the same snapshot.
    package let updateSequence: Int
    /// Whether rows remain after the last one.
    package let hasMore: Bool
}
