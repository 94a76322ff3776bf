import CouchDocument
import Synchronization

extension StoredDatabase {
    /// Reads of up to this many documents share snapshots with others; longer ones get a connection for themselves.
    private static let shortListLength = 128

    /// A revision of a document; the winner, deleted or not, when none is named. `nil`: no such document, or the
    /// revision is not known or its body is gone.
    package func read(_ id: String, revision: Revision? = nil) async throws -> StoredDocument? {
        try await core.readShortly { rows in
            guard let document = try rows.winner(id) else { return nil }
            guard let revision else { return document }
            return try rows.revision(revision, of: document)
        }
    }

    /// The winners of these documents in one snapshot, in the order asked; `nil` for those that do not exist.
    ///
    /// - Parameter bytes: Reading ends with the document whose body brings so many together, so that a page of large ones
    ///   is short: fewer may be answered than were asked for, but one at least.
    package func read(ids: [String], upTo bytes: Int = .max, withBodies: Bool = true) async throws -> [StoredDocument?]
    {
        let body = { @Sendable (rows: DocumentRows) throws -> [StoredDocument?] in
            var documents: [StoredDocument?] = []
            var size = 0
            for id in ids where size < bytes {
                let document = try rows.winner(id, withBody: withBodies)
                size += document?.body.count ?? 0
                documents.append(document)
            }
            return documents
        }
        return ids.count <= Self.shortListLength ? try await core.readShortly(body) : try await core.read(body)
    }

    /// Revisions of documents in one snapshot, a list for each request (`_bulk_get`, `open_revs`). The list is empty when
    /// the leaves of an unknown document were asked for.
    package func read(_ requests: [RevisionRequest]) async throws -> [[OpenRevision]] {
        if requests.count <= Self.shortListLength {
            return try await core.readShortly { rows in try requests.map { try rows.open($0) } }
        }
        return try await core.read { rows in try requests.map { try rows.open($0) } }
    }

    /// The revision and its ancestors with what is left of each (`_revs_info`), newest first.
    package func revisionStatuses(of id: String, revision: Revision) async throws -> [RevisionStatus] {
        try await core.readShortly { try $0.statuses(of: id, revision: revision) }
    }

    /// Which of these revisions are not here (`_revs_diff`); documents with none missing are left out.
    package func missingRevisions(_ asked: [(id: String, revisions: [Revision])]) async throws -> [MissingRevisions] {
        try await core.read { rows in try asked.compactMap { try rows.missing($0.id, $0.revisions) } }
    }

    /// Documents by id.
    package func allDocuments(_ query: AllDocumentsQuery) async throws -> AllDocumentsPage {
        if query.limit <= Self.shortListLength && query.skip <= Self.shortListLength {
            return try await core.readShortly { try $0.all(query) }
        }
        return try await core.read { try $0.all(query) }
    }

    /// The design documents that are not deleted, in the order of their ids. Kept in memory until one changes.
    package func designDocuments() async throws -> [DesignDocument] {
        try core.refuseWhenClosed()
        let (generation, kept) = core.published.withLock { ($0.designGeneration, $0.designs) }
        if let kept, kept.generation == generation { return kept.documents }
        let documents = try await core.read { try $0.designDocuments() }
        // Read after the generation was: the documents are of that one or later, so at worst they are read again.
        core.published.withLock { $0.designs = (generation, documents) }
        return documents
    }

    // MARK: Changes

    /// The sequence of the latest change that readers see. Costs nothing.
    package var lastSequence: Int { core.signal.sequence }

    /// A page of the sequence log.
    package func changes(_ range: ChangesRange) async throws -> ChangesPage {
        if range.limit <= Self.shortListLength && range.ids == nil {
            return try await core.readShortly { try $0.changes(range) }
        }
        return try await core.read { try $0.changes(range) }
    }

    /// The number of documents whose latest change is after that sequence: `pending`.
    package func pendingChanges(after sequence: Int) async throws -> Int {
        if sequence <= 0 { return core.published.withLock { $0.state.documents + $0.state.deleted } }
        if sequence >= lastSequence { return 0 }
        return try await core.readShortly { try SequenceCounts.documents(after: sequence, in: $0.database) }
    }

    /// Waits for a change after that sequence and answers the latest sequence; at once when there is one already.
    ///
    /// - Throws: `CancellationError` when the task is cancelled; ``StoreError/Code/closed`` when the database goes.
    @discardableResult
    package func waitForChange(after sequence: Int) async throws -> Int { try await core.signal.wait(after: sequence) }

    // MARK: Local documents

    /// A `_local/` document; `nil` when there is none. `id` with its `_local/`.
    package func localDocument(_ id: String) async throws -> Document? {
        try await core.readShortly { try $0.local(id) }
    }

    /// Local documents in order of id.
    package func localDocuments(_ query: AllDocumentsQuery) async throws -> [Document] {
        try await core.read { try $0.locals(query) }
    }

    // MARK: Attachments

    /// Begins to take in an attachment's bytes, for an ``EditedAttachment`` later.
    package func beginUpload() -> AttachmentUpload { AttachmentUpload(store: core.attachmentStore) }

    /// The stored bytes of an attachment, read as they are asked for.
    package func content(of attachment: StoredAttachment) async throws -> AttachmentContent {
        let store = core.attachmentStore
        return try await core.readShortly { rows in
            let row = try SQLStatement(rows.database, "SELECT bytes FROM contents WHERE md5 = ? AND length = ?")
                .bind(1, attachment.md5).bind(2, attachment.storedLength)
            defer { row.reset() }
            guard try row.step() else {
                throw StoreError(.notFound, "Document is missing attachment")
            }
            if let bytes = row.bytesIfPresent(0) {
                return AttachmentContent(length: bytes.count, source: .memory(bytes))
            }
            // Opened inside the snapshot: a compaction removes the file only after its row is gone for new readers.
            let file = try OpenFile(path: store.path(md5: attachment.md5, length: attachment.storedLength))
            return AttachmentContent(length: attachment.storedLength, source: .file(file, store))
        }
    }
}
