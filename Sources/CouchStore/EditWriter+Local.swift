import CouchDocument
import GRDB

extension EditWriter {
    /// Writes or removes a `_local/` document. CouchDB 3 checks no revision: the last writer wins.
    mutating func applyLocal(_ prepared: PreparedEdit) throws -> EditOutcome {
        let edit = prepared.edit
        guard edit.attachments.isEmpty else {
            return .failed(StoreError(.badRequest, "_local documents do not accept attachments."))
        }
        if edit.isDeleted {
            try SQLStatement(database, "DELETE FROM local_documents WHERE id = ?").bind(1, edit.id).run()
            return database.changesCount > 0
                ? .saved(Revision(generation: 0, hash: "0"), sequence: 0) : .failed(.missing)
        }
        let stated: Revision? =
            switch edit.lineage {
            case .follows(let parent): parent
            case .replicated(let path): path.first
            }
        var next = 1
        if let stated {
            guard let number = Int(stated.hash), (0..<Revision.maximumGeneration).contains(number) else {
                return .failed(StoreError(.badRequest, "Invalid rev format"))
            }
            next = number + 1
        }
        try SQLStatement(database, "INSERT OR REPLACE INTO local_documents (id, revision, body) VALUES (?, ?, ?)")
            .bind(1, edit.id).bind(2, next).bind(3, prepared.body).run()
        return .saved(Revision(generation: 0, hash: String(next)), sequence: 0)
    }
}

extension DocumentRows {
    private static func local(_ row: SQLStatement) -> Document {
        let body = (try? JSON(parsing: row.bytes(2)))?.objectValue ?? [:]
        var document = Document(id: row.text(0))
        document.fields["_rev"] = .string("0-\(row.integer(1))")
        document.fields.merge(body)
        return document
    }

    func local(_ id: String) throws -> Document? {
        let row = try SQLStatement(database, "SELECT id, revision, body FROM local_documents WHERE id = ?").bind(1, id)
        defer { row.reset() }
        return try row.step() ? Self.local(row) : nil
    }

    func locals(_ query: AllDocumentsQuery) throws -> [Document] {
        let range = IDRange(query)
        let row = try SQLStatement(
            database,
            "SELECT id, revision, body FROM local_documents WHERE \(range.condition) \(range.order) LIMIT ?3 OFFSET ?4")
        range.bind(row)
        row.bind(3, query.limit).bind(4, query.skip)
        defer { row.reset() }
        var result: [Document] = []
        while try row.step() { result.append(Self.local(row)) }
        return result
    }
}
