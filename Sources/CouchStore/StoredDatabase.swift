import CouchDocument

/// One database: documents, their revisions and attachments, local documents, the security object, views.
///
/// Every read is a snapshot that no writer can hold up. Writes of concurrent callers are gathered into one transaction; an
/// answer comes only after it is on disk. A database that was deleted answers every call with ``StoreError/Code/closed``.
package final class StoredDatabase: Sendable {
    /// The name, `/` and all.
    package let name: String
    /// Seconds since 1970 at which the database was made; stays the same for its life, as replicators expect.
    package let instanceStartTime: String
    /// 32 hex digits that no other database has.
    package let uuid: String

    init() { fatalError("not there yet") }

    /// Counts, sizes and sequences.
    package func info() async throws -> DatabaseSummary { fatalError("not there yet") }

    // MARK: Reading

    /// A revision of a document; the winner, deleted or not, when none is named. `nil`: no such document, or the
    /// revision is not known or its body is gone.
    package func read(_ id: String, revision: Revision? = nil) async throws -> StoredDocument? {
        fatalError("not there yet")
    }

    /// The winners of these documents in one snapshot, in the order asked; `nil` for those that do not exist.
    package func read(ids: [String]) async throws -> [StoredDocument?] { fatalError("not there yet") }

    /// Revisions of documents in one snapshot, a list for each request (`_bulk_get`, `open_revs`). The list is empty when
    /// the leaves of an unknown document were asked for.
    package func read(_ requests: [RevisionRequest]) async throws -> [[OpenRevision]] { fatalError("not there yet") }

    /// The revision and its ancestors with what is left of each (`_revs_info`), newest first.
    package func revisionStatuses(of id: String, revision: Revision) async throws -> [RevisionStatus] {
        fatalError("not there yet")
    }

    /// Which of these revisions are not here (`_revs_diff`); documents with none missing are left out.
    package func missingRevisions(_ asked: [(id: String, revisions: [Revision])]) async throws -> [MissingRevisions] {
        fatalError("not there yet")
    }

    /// Documents by id.
    package func allDocuments(_ query: AllDocumentsQuery) async throws -> AllDocumentsPage {
        fatalError("not there yet")
    }

    /// The design documents that are not deleted. Kept in memory until one changes.
    package func designDocuments() async throws -> [DesignDocument] { fatalError("not there yet") }

    // MARK: Changes

    /// The sequence of the latest change that readers see. Costs nothing.
    package var lastSequence: Int { fatalError("not there yet") }

    /// A page of the sequence log.
    package func changes(_ range: ChangesRange) async throws -> ChangesPage { fatalError("not there yet") }

    /// The number of documents whose latest change is after that sequence: `pending`.
    package func pendingChanges(after sequence: Int) async throws -> Int { fatalError("not there yet") }

    /// Waits for a change after that sequence and answers the latest sequence; at once when there is one already.
    ///
    /// - Throws: `CancellationError` when the task is cancelled; ``StoreError/Code/closed`` when the database goes.
    @discardableResult
    package func waitForChange(after sequence: Int) async throws -> Int { fatalError("not there yet") }

    // MARK: Writing

    /// Writes documents and answers an outcome for each, in order, once they are on disk.
    ///
    /// Edits stand alone: one that conflicts or fails takes nobody along. When an id occurs twice the first wins.
    ///
    /// - Throws: ``StoreError`` when nothing was written: the disk is full or can not be written to.
    package func write(_ edits: [Edit], validation: EditValidation? = nil) async throws -> [EditOutcome] {
        fatalError("not there yet")
    }

    /// Writes one document.
    package func write(_ edit: Edit, validation: EditValidation? = nil) async throws -> EditOutcome {
        fatalError("not there yet")
    }

    /// Takes these leaves out as if they had never been (`_purge`); answers for each document the leaves that were there.
    package func purge(_ revisions: [(id: String, revisions: [Revision])]) async throws -> [(
        id: String, purged: [Revision]
    )] { fatalError("not there yet") }

    /// Drops the bodies of revisions that are no leaves, and attachments that no leaf has; returns when done.
    package func compact() async throws { fatalError("not there yet") }

    // MARK: Attachments

    /// Begins to take in an attachment's bytes, for an ``EditedAttachment`` later.
    package func beginUpload() -> AttachmentUpload { fatalError("not there yet") }

    /// The stored bytes of an attachment, read as they are asked for.
    package func content(of attachment: StoredAttachment) async throws -> AttachmentContent {
        fatalError("not there yet")
    }

    // MARK: Local documents

    /// A `_local/` document; `nil` when there is none. `id` with its `_local/`.
    package func localDocument(_ id: String) async throws -> Document? { fatalError("not there yet") }

    /// Local documents in order of id.
    package func localDocuments(_ query: AllDocumentsQuery) async throws -> [Document] { fatalError("not there yet") }

    // MARK: Settings

    /// The security object. Kept in memory; a new database's is admin-only.
    package var security: JSONObject { fatalError("not there yet") }

    /// Replaces the security object.
    package func setSecurity(_ security: JSONObject) async throws { fatalError("not there yet") }

    /// How many revisions of a branch are remembered (1000).
    package var revisionsLimit: Int { fatalError("not there yet") }

    /// Sets ``revisionsLimit``; applies to a document at its next edit.
    package func setRevisionsLimit(_ limit: Int) async throws { fatalError("not there yet") }
}
