public import CouchDocument

/// What became of one document of a ``Database/bulkSave(_:newEdits:)``.
public enum BulkOutcome: Sendable, Hashable {
    /// It was saved. `accepted`: the cluster took it without its full quorum (202), so it may yet lose against another.
    case saved(id: String, revision: Revision, accepted: Bool)
    /// It was not saved.
    case failed(id: String, CouchDBError)

    /// The document's id.
    public var id: String {
        switch self {
        case .saved(let id, _, _), .failed(let id, _): id
        }
    }

    /// The new revision, if it was saved.
    public var revision: Revision? {
        if case .saved(_, let revision, _) = self { revision } else { nil }
    }

    /// Why it was not saved.
    public var error: CouchDBError? {
        if case .failed(_, let error) = self { error } else { nil }
    }
}

extension Database {
    /// Saves many documents in one request: `POST /db/_bulk_docs`. Each stands for itself: some may fail.
    ///
    /// - Parameter newEdits: `false` stores the revisions as they are, as a replicator does (`_rev` or `_revisions` needed).
    /// - Returns: In the order of the documents, one each.
    /// - Throws: When the request failed as a whole. After ``CouchDBError/interrupted`` or ``CouchDBError/timedOut`` some
    ///   may have been saved; it is not repeated.
    public func bulkSave(_ documents: [Document], newEdits: Bool = true) async throws -> [BulkOutcome] {
        if documents.isEmpty { return [] }
        var writer = JSONWriter()
        writer.raw(#"{"docs":["#)
        for (index, document) in documents.enumerated() {
            if index > 0 { writer.raw(",") }
            writer.write(document.fields)
        }
        writer.raw(newEdits ? "]}" : #"],"new_edits":false}"#)
        let response = try await server.perform(
            Call(
                "POST", path("_bulk_docs"), headers: Call.jsonType, body: .bytes(writer.take()),
                // Revisions that are there already are taken once more without effect.
                repeatability: newEdits ? nil : .safe))
        let rows = try response.array()
        return try newEdits
            ? outcomes(rows, for: documents, in: response) : replicated(rows, of: documents, in: response)
    }

    /// One row for each document, in order.
    private func outcomes(_ rows: [JSON], for documents: [Document], in response: Response) throws -> [BulkOutcome] {
        guard rows.count == documents.count else {
            throw response.badAnswer("\(rows.count) rows for \(documents.count) documents")
        }
        // CouchDB 3 says in the rows which ones it was that make the answer a 202.
        let isTold = rows.contains { $0["accepted"] != nil }
        return try zip(rows, documents).map { row, document in
            guard let id = row["id"]?.stringValue, document.fields["_id"] == nil || id == document.id else {
                throw response.badAnswer("the rows are not in the order of the documents")
            }
            if let error = Self.failure(in: row, attempted: response.attempted) { return .failed(id: id, error) }
            guard row["ok"] == .bool(true), let revision = row["rev"]?.stringValue.flatMap({ Revision($0) }) else {
                throw response.badAnswer("the row of \"\(id)\" has neither ok and rev nor error")
            }
            let isAccepted = isTold ? row["accepted"] == true : response.status == 202
            return .saved(id: id, revision: revision, accepted: isAccepted)
        }
    }

    /// With `new_edits: false` CouchDB lists only what failed.
    private func replicated(_ rows: [JSON], of documents: [Document], in response: Response) throws -> [BulkOutcome] {
        var failures: [String: [CouchDBError]] = [:]
        for row in rows {
            guard let id = row["id"]?.stringValue else { throw response.badAnswer("a row has no id") }
            if let error = Self.failure(in: row, attempted: response.attempted) {
                failures[id, default: []].append(error)
            } else if row["ok"] == nil {
                throw response.badAnswer("the row of \"\(id)\" has neither ok nor error")
            }
        }
        return try documents.map { document in
            if let error = failures[document.id]?.first { return .failed(id: document.id, error) }
            guard let revision = document.revision ?? document.historyHead else {
                throw response.badAnswer("\"\(document.id)\" was taken without a revision")
            }
            return .saved(id: document.id, revision: revision, accepted: response.status == 202)
        }
    }

    static func failure(in row: JSON, attempted: String) -> CouchDBError? {
        guard let word = row["error"]?.stringValue else { return nil }
        return CouchDBError(
            code: .init(errorWord: word), error: word, reason: row["reason"]?.stringValue ?? "", attempted: attempted)
    }

    /// Many documents in one request: `POST /db/_all_docs` with their ids.
    ///
    /// - Returns: In the order of the ids, `nil` for those that are not there or deleted.
    public func documents(_ ids: [String], conflicts: Bool = false) async throws -> [Document?] {
        if ids.isEmpty { return [] }
        var query = ViewQuery()
        query.keys = ids.map(JSON.string)
        query.includeDocuments = true
        query.conflicts = conflicts
        let page = try await allDocuments(query)
        guard page.rows.count == ids.count else {
            throw CouchDBError(
                code: .badAnswer, reason: "\(page.rows.count) rows for \(ids.count) ids",
                attempted: "POST " + path("_all_docs"))
        }
        return try zip(page.rows, ids).map { row, id in
            if let document = row.document {
                guard document.id == id else {
                    throw CouchDBError(
                        code: .badAnswer, reason: "the rows are not in the order of the ids",
                        attempted: "POST " + path("_all_docs"))
                }
                return document
            }
            guard row.error == nil || row.error == "not_found" else {
                throw CouchDBError(
                    code: .init(errorWord: row.error ?? ""), error: row.error, reason: "document \"\(id)\"",
                    attempted: "POST " + path("_all_docs"))
            }
            return nil
        }
    }

    /// Particular revisions of many documents in one request: `POST /db/_bulk_get`.
    ///
    /// - Parameter revisions: Ids with a revision; `nil` is the leaves.
    /// - Returns: In the order asked, one list for each: what was found, or why not.
    public func bulkGet(
        _ revisions: [(id: String, revision: Revision?)], options: DocumentOptions = []
    ) async throws -> [[Result<Document, CouchDBError>]] {
        if revisions.isEmpty { return [] }
        let list = revisions.map { id, revision in
            var fields: JSONObject = ["id": .string(id)]
            fields["rev"] = revision.map { .string($0.description) }
            return JSON.object(fields)
        }
        let response = try await server.perform(
            Call(
                "POST", path("_bulk_get"), query: options.query, body: .json(["docs": .array(list)]),
                repeatability: .safe))
        guard let results = try response.object()["results"]?.arrayValue, results.count == list.count else {
            throw response.badAnswer("not one result for each document")
        }
        return try zip(results, revisions).map { result, wanted in
            guard result["id"]?.stringValue == wanted.id, let rows = result["docs"]?.arrayValue else {
                throw response.badAnswer("the results are not in the order asked")
            }
            return try rows.map { row in
                if let fields = row["ok"]?.objectValue { return .success(Document(fields: fields)) }
                guard let error = row["error"],
                    let failure = Self.failure(in: error, attempted: response.attempted)
                else { throw response.badAnswer("a row of \"\(wanted.id)\" is neither ok nor error") }
                return .failure(failure)
            }
        }
    }
}

extension Document {
    /// The newest entry of `_revisions`.
    var historyHead: Revision? {
        guard let start = fields["_revisions"]?["start"]?.intValue,
            let hash = fields["_revisions"]?["ids"]?[0]?.stringValue
        else { return nil }
        return Revision(generation: start, hash: hash)
    }
}

extension Call {
    static let jsonType = [("Content-Type", "application/json")]
}
