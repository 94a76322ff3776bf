/// What a database says of itself. Costs the same however large it is.
package struct DatabaseSummary: Sendable {
    /// Documents that are not deleted, design documents included.
    package let documentCount: Int
    /// Deleted documents.
    package let deletedCount: Int
    /// The sequence of the latest change; 0 when there was none.
    package let updateSequence: Int
    /// The sequence of the latest purge.
    package let purgeSequence: Int
    /// Bytes on disk, without views.
    package let fileSize: Int
    /// Bytes of the winners' JSON and of attachments.
    package let externalSize: Int
    /// Bytes that would remain after a compaction, about.
    package let activeSize: Int
    /// Whether a compaction runs.
    package let isCompacting: Bool
    /// Transactions since the database was opened: fewer than edits when writers share them.
    package let commitCount: Int
}
