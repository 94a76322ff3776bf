import CouchDocument

/// Which revisions of a document are wanted.
package struct RevisionRequest: Sendable {
    /// Winner, all leaves, or named ones.
    package enum Selection: Sendable {
        /// The winner, deleted or not.
        case winner
        /// All leaves (`open_revs=all`).
        case leaves
        /// These, whether leaves or not.
        case revisions([Revision])
    }

    /// The document's id.
    package var id: String
    /// Which ones.
    package var selection: Selection
    /// Instead of a revision that has descendants, the leaves that descend from it (`latest=true`).
    package var latest: Bool

    /// A request.
    package init(id: String, selection: Selection = .winner, latest: Bool = false) {
        self.id = id
        self.selection = selection
        self.latest = latest
    }
}

/// A revision that was asked for.
package enum OpenRevision: Sendable {
    /// It is here.
    case found(StoredDocument)
    /// It is not, or its body is gone; `nil` when the winner of an unknown document was asked for.
    case missing(Revision?)
}

/// What `_revs_info` says of an ancestor.
package struct RevisionStatus: Sendable {
    /// Whether its body can be read.
    package enum Status: String, Sendable {
        /// It can.
        case available
        /// It is known but its body is gone.
        case missing
        /// It is a tombstone.
        case deleted
    }

    /// The revision.
    package let revision: Revision
    /// Its state.
    package let status: Status
}

/// What `_revs_diff` says of a document.
package struct MissingRevisions: Sendable {
    /// The document's id.
    package let id: String
    /// The revisions that are not here, in the order asked.
    package let missing: [Revision]
    /// Leaves here that can be ancestors of them.
    package let possibleAncestors: [Revision]
}
