import CouchDocument

/// All revisions of one document: which followed which, and which are tombstones.
///
/// A value without bodies. Several leaves that are not deleted are a conflict; there can be several roots once old
/// revisions were dropped (``stem(to:)``) or when replication brought histories without a common beginning.
package struct RevisionTree: Hashable, Sendable {
    /// A revision that nobody followed.
    package struct Leaf: Hashable, Sendable {
        /// The revision.
        package let revision: Revision
        /// Whether it is a tombstone.
        package let isDeleted: Bool
    }

    /// A tree of one revision.
    package init(_ revision: Revision, isDeleted: Bool = false) { fatalError("not there yet") }

    /// Reads what ``encoded()`` wrote.
    package init(decoding bytes: some Collection<UInt8>) { fatalError("not there yet") }

    /// All leaves, the winner first.
    package var leaves: [Leaf] { fatalError("not there yet") }

    /// Not deleted before deleted, then the highest generation, then the greatest hash bytewise.
    package var winner: Leaf { leaves[0] }

    /// The leaves besides the winner that are not deleted.
    package var conflicts: [Revision] { leaves.dropFirst().filter { !$0.isDeleted }.map(\.revision) }

    /// Whether the revision is known, its body there or not.
    package func contains(_ revision: Revision) -> Bool { fatalError("not there yet") }

    /// Whether the revision is a leaf.
    package func isLeaf(_ revision: Revision) -> Bool { fatalError("not there yet") }

    /// The revision and its ancestors, newest first; empty when it is not known.
    package func path(to revision: Revision) -> [Revision] { fatalError("not there yet") }

    /// The leaves that descend from the revision, or are it.
    package func leaves(descendingFrom revision: Revision) -> [Leaf] { fatalError("not there yet") }
}
