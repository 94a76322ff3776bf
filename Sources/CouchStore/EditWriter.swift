import CouchDocument
import GRDB

/// Carries out edits inside one transaction, one after the other, each seeing those before it.
///
/// An edit that can not be (a conflict, a stub without content) is told by its outcome before anything of it is written.
/// What is thrown is a failure of the file itself, and ends the transaction.
struct EditWriter {
    let database: Database
    let attachmentStore: AttachmentStore
    let rows: DocumentRows
    /// The counts so far in this transaction.
    var state: DatabaseState
    private let stateBefore: DatabaseState
    /// The settings so far in this transaction.
    var settings: DatabaseSettings
    /// Whether a design document was written.
    var touchesDesignDocuments = false
    /// What this transaction changes in the counts by sequence and by id.
    var sequenceCounts = SequenceCounts()
    var idCounts = IDCounts()
    /// For documents that were not there; found once, for there can be many.
    private let inserting: SQLStatement
    private let insertingNew: SQLStatement

    init(database: Database, state: DatabaseState, settings: DatabaseSettings, attachmentStore: AttachmentStore) throws
    {
        self.database = database
        inserting = try SQLStatement(
            database,
            """
            INSERT INTO documents (sequence, number, id, deleted, leaves, revision, tree, attachments, body)
            VALUES (?1, ?1, ?2, ?3, 1, ?4, ?5, ?6, ?7)
            """)
        insertingNew = try SQLStatement(
            database,
            """
            INSERT INTO documents (sequence, number, id, deleted, leaves, revision, body)
            VALUES (?1, ?1, ?2, 0, 1, ?3, ?4) ON CONFLICT (deleted, id) DO NOTHING
            """)
        self.attachmentStore = attachmentStore
        rows = DocumentRows(database: database)
        self.state = state
        stateBefore = state
        self.settings = settings
    }

    /// To be called last in the transaction.
    mutating func finish() throws {
        guard state != stateBefore else { return }
        try state.write(to: database)
        try sequenceCounts.write(to: database)
        try idCounts.write(to: database)
    }

    /// Carries out the edits of one caller.
    mutating func apply(_ edits: [PreparedEdit]) throws -> [EditOutcome] {
        let start = state.sequence
        var outcomes: [EditOutcome] = []
        outcomes.reserveCapacity(edits.count)
        for edit in edits {
            outcomes.append(edit.edit.isLocal ? try applyLocal(edit) : try apply(edit, start: start))
        }
        return outcomes
    }

    // MARK: One edit

    /// - Parameter start: The sequence before the caller's first edit. A document that is past it was changed by an
    ///   earlier edit of the same caller.
    private mutating func apply(_ prepared: PreparedEdit, start: Int) throws -> EditOutcome {
        if let outcome = try insertUnlessThere(prepared) { return outcome }
        let edit = prepared.edit
        let current = try rows.winner(edit.id, withBody: false)
        switch edit.lineage {
        case .replicated(let path): return try replicate(prepared, path, over: current)
        case .follows(let stated):
            var parent = stated
            var tree: RevisionTree?
            if let current {
                if current.sequence > start { return .conflict }
                tree = current.tree
                if let stated {
                    // A deleted document comes back without a revision only (CouchDB 3.5, recording "documents").
                    if current.isDeleted { return .conflict }
                    guard stated == current.winner || tree?.isLeaf(stated) == true else { return .conflict }
                } else {
                    guard current.isDeleted else { return .conflict }
                    // A new document continues the history of the deleted one; a tombstone without a parent does not.
                    if !edit.isDeleted { parent = current.winner }
                }
            }
            let attachments: [StoredAttachment]
            let generation = (parent?.generation ?? 0) + 1
            switch try resolve(prepared, generation: generation, ancestors: parent.map { [$0] } ?? [], of: current) {
            case .failure(let error): return .failed(error)
            case .success(let found): attachments = found
            }
            let revision: Revision
            if parent == stated, let provisional = prepared.revision {
                revision = provisional
            } else {
                revision = Revision(
                    editing: parent, isDeleted: edit.isDeleted, body: edit.body,
                    attachments: attachments.map {
                        AttachmentDigest(name: $0.name, contentType: $0.contentType, md5: $0.md5)
                    })
            }
            if current == nil && parent == nil {
                return try insert(prepared, revision, tree: nil, AttachmentCoding.encode(attachments))
            }
            let path = parent.map { [revision, $0] } ?? [revision]
            var merged = tree ?? RevisionTree(nodes: [])
            guard merged.merge(path: path, isDeleted: edit.isDeleted) else { return .conflict }
            return try store(prepared, revision, parent: parent, tree: merged, attachments, over: current)
        }
    }

    private mutating func replicate(_ prepared: PreparedEdit, _ path: [Revision], over current: StoredDocument?) throws
        -> EditOutcome
    {
        guard let revision = path.first else {
            return .failed(
                StoreError(
                    .badRequest, "When `new_edits: false`, the document needs `_rev` or `_revisions` specified"))
        }
        var tree = current?.tree ?? RevisionTree(nodes: [])
        let isNew = tree.merge(path: path, isDeleted: prepared.edit.isDeleted)
        if !isNew, tree == current?.tree { return .saved(revision, sequence: current?.sequence ?? 0) }
        switch try resolve(
            prepared, generation: revision.generation, ancestors: Array(path.dropFirst()), of: current)
        {
        case .failure(let error): return .failed(error)
        case .success(let attachments):
            if let current {
                try markReplacedLeaves(of: current, in: tree)
                if !isNew { return try join(prepared, revision, tree: tree, attachments, over: current) }
            }
            let parent = path.count > 1 ? path[1] : nil
            return try store(prepared, revision, parent: parent, tree: tree, attachments, over: current)
        }
    }

    // MARK: Rows

    /// Writes a revision that is new in the tree, and puts the document at the end of the sequence log.
    private mutating func store(
        _ prepared: PreparedEdit, _ revision: Revision, parent: Revision?, tree merged: RevisionTree,
        _ attachments: [StoredAttachment], over current: StoredDocument?
    ) throws -> EditOutcome {
        var tree = merged
        tree.stem(to: settings.revisionsLimit)
        let leaves = tree.leaves
        let encodedTree = tree.count > 1 ? tree.encoded() : nil
        let encodedAttachments = AttachmentCoding.encode(attachments)
        guard let current else { return try insert(prepared, revision, tree: encodedTree, encodedAttachments) }
        state.sequence += 1
        if prepared.edit.isDesign { touchesDesignDocuments = true }
        let winner = leaves[0]
        // The parent's body is no leaf's any more, wherever it is; the winner's row is dealt with below.
        if let parent, parent != current.winner { try markAsReplaced(parent, of: current) }
        if winner.revision == current.winner {
            try keep(revision, of: current, encodedAttachments, prepared.body)
            try moveRow(of: current, leaves: leaves.count, encodedTree)
            return .saved(revision, sequence: state.sequence)
        }
        try moveWinnerAside(of: current, isLeaf: leaves.contains { $0.revision == current.winner })
        var body = prepared.body
        var winnersAttachments = encodedAttachments
        if winner.revision != revision {
            try keep(revision, of: current, encodedAttachments, prepared.body)
            (winnersAttachments, body) = try takeBack(winner.revision, of: current)
        }
        try moveRow(of: current, leaves: leaves.count, encodedTree, to: winner, winnersAttachments, body)
        return .saved(revision, sequence: state.sequence)
    }

    /// Writes a document that was not there.
    private mutating func insert(
        _ prepared: PreparedEdit, _ revision: Revision, tree: [UInt8]?, _ attachments: [UInt8]?
    ) throws -> EditOutcome {
        try inserting.bind(1, state.sequence + 1).bind(2, prepared.edit.id).bind(3, prepared.edit.isDeleted ? 1 : 0)
            .bind(4, prepared.revision == revision ? prepared.encodedRevision : revision.encoded).bind(5, tree)
            .bind(6, attachments).bind(7, prepared.body).run()
        return try inserted(prepared, revision)
    }

    /// Writes the first revision of a document, for which the index of ids need be searched only once; `nil`: there may be one
    /// already, look for it.
    private mutating func insertUnlessThere(_ prepared: PreparedEdit) throws -> EditOutcome? {
        guard case .follows(nil) = prepared.edit.lineage, !prepared.edit.isDeleted, prepared.edit.attachments.isEmpty,
            let revision = prepared.revision, let encoded = prepared.encodedRevision,
            // It would go on from its tombstone.
            try state.deleted == 0 || !rows.isTombstone(prepared.edit.id)
        else { return nil }
        let statement = insertingNew.bind(1, state.sequence + 1)
        try statement.lend(2, prepared.edit.id) {
            try statement.lend(3, encoded) { try statement.lend(4, prepared.body) { try statement.run() } }
        }
        return statement.changeCount == 0 ? nil : try inserted(prepared, revision)
    }

    /// Counts a document that was inserted.
    private mutating func inserted(_ prepared: PreparedEdit, _ revision: Revision) throws -> EditOutcome {
        state.sequence += 1
        if prepared.edit.isDesign { touchesDesignDocuments = true }
        sequenceCounts.move(from: nil, to: state.sequence)
        try count(prepared.edit.id, isDeleted: prepared.edit.isDeleted, by: 1)
        state.bodyBytes += prepared.body.count
        return .saved(revision, sequence: state.sequence)
    }

    /// Puts a document whose winner stays at the end of the sequence log.
    mutating func moveRow(of current: StoredDocument, leaves: Int, _ encodedTree: [UInt8]?) throws {
        try SQLStatement(database, "UPDATE documents SET sequence = ?, leaves = ?, tree = ? WHERE sequence = ?")
            .bind(1, state.sequence).bind(2, leaves).bind(3, encodedTree).bind(4, current.sequence).run()
        sequenceCounts.move(from: current.sequence, to: state.sequence)
    }

    /// Puts a document at the end of the sequence log with another winner.
    mutating func moveRow(
        of current: StoredDocument, leaves: Int, _ encodedTree: [UInt8]?, to winner: RevisionTree.Leaf,
        _ attachments: [UInt8]?, _ body: [UInt8]
    ) throws {
        try SQLStatement(
            database,
            """
            UPDATE documents SET sequence = ?, deleted = ?, leaves = ?, revision = ?, tree = ?, attachments = ?, body = ?
            WHERE sequence = ?
            """
        )
        .bind(1, state.sequence).bind(2, winner.isDeleted ? 1 : 0).bind(3, leaves)
        .bind(4, winner.revision.encoded).bind(5, encodedTree).bind(6, attachments).bind(7, body)
        .bind(8, current.sequence).run()
        sequenceCounts.move(from: current.sequence, to: state.sequence)
        state.bodyBytes += body.count
        if winner.isDeleted != current.isDeleted {
            try count(current.id, isDeleted: current.isDeleted, by: -1)
            try count(current.id, isDeleted: winner.isDeleted, by: 1)
        }
    }

    /// Counts a document in (+1) or out (−1).
    mutating func count(_ id: String, isDeleted: Bool, by change: Int) throws {
        if isDeleted {
            state.deleted += change
        } else {
            state.documents += change
            try idCounts.add(change, id: id, in: database)
        }
    }

    /// Copies the winner's body to where replaced ones and losers are kept.
    mutating func moveWinnerAside(of current: StoredDocument, isLeaf: Bool) throws {
        try SQLStatement(
            database,
            """
            INSERT OR REPLACE INTO revisions (number, revision, leaf, attachments, body)
            SELECT number, revision, ?, attachments, body FROM documents WHERE sequence = ?
            """
        ).bind(1, isLeaf ? 1 : 0).bind(2, current.sequence).run()
        let size = try bodySize(of: current)
        state.bodyBytes -= size
        if !isLeaf { state.supersededBytes += size }
    }

    /// The bytes of the winner's body.
    func bodySize(of current: StoredDocument) throws -> Int {
        let row = try SQLStatement(database, "SELECT length(body) FROM documents WHERE sequence = ?")
            .bind(1, current.sequence)
        defer { row.reset() }
        return try row.step() ? row.integer(0) : 0
    }

    /// Keeps the body of a leaf that is not the winner.
    private func keep(_ revision: Revision, of current: StoredDocument, _ attachments: [UInt8]?, _ body: [UInt8]) throws
    {
        try SQLStatement(
            database,
            "INSERT OR REPLACE INTO revisions (number, revision, leaf, attachments, body) VALUES (?, ?, 1, ?, ?)"
        )
        .bind(1, current.number).bind(2, revision.encoded).bind(3, attachments).bind(4, body).run()
    }

    mutating func markAsReplaced(_ revision: Revision, of current: StoredDocument) throws {
        try SQLStatement(database, "UPDATE revisions SET leaf = 0 WHERE number = ? AND revision = ?")
            .bind(1, current.number).bind(2, revision.encoded).run()
    }

    /// Takes the body of a leaf out of those that are kept aside: it is the winner now.
    func takeBack(_ revision: Revision, of current: StoredDocument) throws -> (attachments: [UInt8]?, body: [UInt8]) {
        let encoded = revision.encoded
        let row = try SQLStatement(
            database, "SELECT attachments, body FROM revisions WHERE number = ? AND revision = ?"
        ).bind(1, current.number).bind(2, encoded)
        guard try row.step() else {
            row.reset()
            throw StoreError(.failed, "the body of leaf \(revision) of \"\(current.id)\" is not in the database file")
        }
        let result = (row.bytesIfPresent(0), row.bytes(1))
        row.reset()
        try SQLStatement(database, "DELETE FROM revisions WHERE number = ? AND revision = ?")
            .bind(1, current.number).bind(2, encoded).run()
        return result
    }
}
