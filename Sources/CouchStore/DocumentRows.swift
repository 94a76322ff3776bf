import CouchDocument
import GRDB

/// Reads documents from one connection.
struct DocumentRows {
    let database: Database

    static let columns = "sequence, number, id, deleted, leaves, revision, tree"
    static let columnsWithBody = columns + ", attachments, body"

    private static let winnerAlone = byID(columns)
    private static let winnerWithBody = byID(columnsWithBody)

    /// Looks among the documents that are there and then among the tombstones, which the index keeps apart.
    private static func byID(_ columns: String) -> String {
        [0, 1].map { "SELECT \(columns) FROM documents INDEXED BY documents_by_id WHERE deleted = \($0) AND id = ?1" }
            .joined(separator: " UNION ALL ")
    }

    /// The document in the row where the statement stands.
    static func document(_ row: SQLStatement, withBody: Bool) -> StoredDocument {
        let revision = row.withBytes(5) { Revision(decoding: $0) }
        let isDeleted = row.integer(3) != 0
        return StoredDocument(
            id: row.text(2), revision: revision, isDeleted: isDeleted, sequence: row.integer(0),
            body: withBody ? row.bytes(8) : [], number: row.integer(1), leafCount: row.integer(4),
            encodedTree: row.bytesIfPresent(6), winner: revision, isWinnerDeleted: isDeleted,
            encodedAttachments: withBody ? row.bytesIfPresent(7) : nil)
    }

    /// The winner; `nil` when the document does not exist.
    func winner(_ id: String, withBody: Bool = true) throws -> StoredDocument? {
        let row = try SQLStatement(database, withBody ? Self.winnerWithBody : Self.winnerAlone).bind(1, id)
        defer { row.reset() }
        return try row.step() ? Self.document(row, withBody: withBody) : nil
    }

    /// Whether the document is there and deleted.
    func isTombstone(_ id: String) throws -> Bool {
        let row = try SQLStatement(
            database, "SELECT 1 FROM documents INDEXED BY documents_by_id WHERE deleted = 1 AND id = ?"
        ).bind(1, id)
        defer { row.reset() }
        return try row.step()
    }

    /// Another revision of the document; `nil` when its body is not here.
    func revision(_ revision: Revision, of document: StoredDocument) throws -> StoredDocument? {
        if revision == document.winner { return document }
        guard document.encodedTree != nil else { return nil }
        let row = try SQLStatement(
            database, "SELECT attachments, body FROM revisions WHERE number = ? AND revision = ?"
        ).bind(1, document.number).bind(2, revision.encoded)
        defer { row.reset() }
        guard try row.step() else { return nil }
        let tree = document.tree
        guard tree.contains(revision) else { return nil }
        return StoredDocument(
            id: document.id, revision: revision, isDeleted: tree.isDeleted(revision), sequence: document.sequence,
            body: row.bytes(1), number: document.number, leafCount: document.leafCount,
            encodedTree: document.encodedTree, winner: document.winner, isWinnerDeleted: document.isWinnerDeleted,
            encodedAttachments: row.bytesIfPresent(0))
    }

    func open(_ request: RevisionRequest) throws -> [OpenRevision] {
        guard let document = try winner(request.id) else {
            switch request.selection {
            case .winner: return [.missing(nil)]
            case .leaves: return []
            case .revisions(let revisions): return revisions.map { .missing($0) }
            }
        }
        func open(_ revision: Revision) throws -> OpenRevision {
            try self.revision(revision, of: document).map { .found($0) } ?? .missing(revision)
        }
        switch request.selection {
        case .winner: return [.found(document)]
        case .leaves: return try document.tree.leaves.map { try open($0.revision) }
        case .revisions(let revisions):
            guard request.latest else { return try revisions.map(open) }
            let tree = document.tree
            // Two ancestors of one leaf ask for the same leaf: it is answered once, as CouchDB does.
            var seen: Set<Revision> = []
            var result: [OpenRevision] = []
            for revision in revisions {
                let leaves = tree.leaves(descendingFrom: revision)
                if leaves.isEmpty { result.append(.missing(revision)) }
                for leaf in leaves where seen.insert(leaf.revision).inserted { result.append(try open(leaf.revision)) }
            }
            return result
        }
    }

    func statuses(of id: String, revision: Revision) throws -> [RevisionStatus] {
        guard let document = try winner(id, withBody: false) else { return [] }
        let row = try SQLStatement(database, "SELECT revision FROM revisions WHERE number = ?").bind(1, document.number)
        defer { row.reset() }
        var available: Set<Revision> = [document.winner]
        while try row.step() { available.insert(row.withBytes(0) { Revision(decoding: $0) }) }
        let tree = document.tree
        return tree.path(to: revision).map { ancestor in
            let isThere = available.contains(ancestor)
            let status: RevisionStatus.Status =
                !isThere ? .missing : tree.isDeleted(ancestor) ? .deleted : .available
            return RevisionStatus(revision: ancestor, status: status)
        }
    }

    func missing(_ id: String, _ revisions: [Revision]) throws -> MissingRevisions? {
        guard let document = try winner(id, withBody: false) else {
            return revisions.isEmpty ? nil : MissingRevisions(id: id, missing: revisions, possibleAncestors: [])
        }
        let tree = document.tree
        let missing = tree.missing(revisions)
        guard !missing.isEmpty else { return nil }
        return MissingRevisions(id: id, missing: missing, possibleAncestors: tree.possibleAncestors(of: missing))
    }

    func updateSequence() throws -> Int { try DatabaseState(reading: database).sequence }

    /// The design documents that are not deleted, in the order of their ids.
    func designDocuments() throws -> [DesignDocument] {
        var query = AllDocumentsQuery(limit: Int.max)
        query.startKey = "_design/"
        query.endKey = "_design0"
        query.inclusiveEnd = false
        query.includesBodies = true
        return try all(query).documents.compactMap { DesignDocument($0.document()) }
    }
}
