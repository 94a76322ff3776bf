public import CouchDB
import CouchDocument

/// What became of the tokens of a view.
public struct ViewChangeReport: Hashable, Sendable {
    /// Documents that were changed or deleted.
    public var changed = 0
    /// Rows whose document is no token, or is not meant: locked too recently, free already.
    public var left = 0
    /// Tokens that others changed each time they were tried.
    public var contended: [String] = []

    /// Nothing yet.
    public init() {}
}

extension Pool {
    /// Puts the tokens of a view back to todo, as PiCaS' `resetTokens` does: three requests for five hundred of them.
    ///
    /// - Parameters:
    ///   - age: Only tokens that were locked longer ago; `nil` for all.
    ///   - keepsAttachments: Whether logs and outputs stay; input files always do.
    public func reset(
        _ view: ViewName, lockedFor age: Duration? = nil, keepingAttachments keepsAttachments: Bool = false,
        progress: @Sendable (ViewChangeReport) -> Void = { _ in }
    ) async throws -> ViewChangeReport {
        let now = clock.now()
        return try await change(view, progress) { document in
            var token = Token(document)
            guard token["lock"]?.numberValue != nil, token.state != .todo else { return nil }
            if let age, now - Timestamp(seconds: token.lock) <= age { return nil }
            token.reset(keepingAttachments: keepsAttachments ? nil : Set(token.inputAttachments), at: now)
            return token.document
        }
    }

    /// Deletes the documents of a view, as PiCaS' `delete_from_view` does, whoever holds them.
    ///
    /// A document that somebody changed meanwhile is read again, and deleted only if it is in the view still.
    public func delete(
        _ view: ViewName, progress: @Sendable (ViewChangeReport) -> Void = { _ in }
    ) async throws -> ViewChangeReport {
        try await change(view, progress) { document in
            guard let revision = document.revision else { return nil }
            return Document(id: document.id, fields: ["_rev": .string(revision.description), "_deleted": true])
        }
    }

    /// Documents of a view that go in one request.
    private static let viewBatch = 500

    /// Writes what `decide` makes of each document of the view, page by page.
    private func change(
        _ view: ViewName, _ progress: (ViewChangeReport) -> Void, _ decide: (Document) -> Document?
    ) async throws -> ViewChangeReport {
        var report = ViewChangeReport()
        var query = ViewQuery(limit: Self.viewBatch)
        query.reduce = false
        query.includeDocuments = true
        var seen: Set<String> = []
        while true {
            let rows: [ViewRow]
            do { rows = try await database.view(view, query).rows } catch CouchDBError.notFound {
                throw try await missing("view \"\(view)\" is not in")
            }
            // A row's document is as it is now, which may be after it left the view: what the view still has when it is read
            // again belonged to it at that revision, or the write conflicts.
            let meant = try await ids(of: query, upTo: rows.last, in: view)
            var open: [(document: Document, key: JSON)] = []
            for row in rows {
                // A view may have several rows of a document.
                guard let document = row.document, seen.insert(document.id).inserted else { continue }
                if meant.contains(document.id) { open.append((document, row.key)) } else { report.left += 1 }
            }
            try await write(open, of: view, into: &report, decide)
            progress(report)
            guard rows.count == Self.viewBatch, let last = rows.last, let id = last.id else { return report }
            // Behind the last row: the rows that left the view meanwhile are not to be skipped once more.
            query.startKey = last.key
            query.startKeyDocumentID = id + "\u{0}"
            seen = []
        }
    }

    private func write(
        _ rows: [(document: Document, key: JSON)], of view: ViewName, into report: inout ViewChangeReport,
        _ decide: (Document) -> Document?
    ) async throws {
        let keys = Dictionary(rows.map { ($0.document.id, $0.key) }) { first, _ in first }
        var open = rows.map(\.document)
        for attempt in 1...Self.patience where !open.isEmpty {
            let writes = open.compactMap(decide)
            report.left += open.count - writes.count
            var lost: [String] = []
            for outcome in try await database.bulkSave(writes) {
                switch outcome {
                case .saved: report.changed += 1
                case .failed(let id, let error) where error.code == .conflict: lost.append(id)
                case .failed(_, let error): throw error
                }
            }
            guard attempt < Self.patience else {
                report.contended += lost
                return
            }
            open = []
            for id in lost {
                // Only what the view still has is meant. Few lose, so a request each is cheap.
                if let document = try await row(of: id, key: keys[id] ?? .null, in: view) {
                    open.append(document)
                } else {
                    report.left += 1
                }
            }
        }
    }

    /// The document, when the view still has its row after it was read.
    private func row(of id: String, key: JSON, in view: ViewName) async throws -> Document? {
        var query = ViewQuery(startKey: key, endKey: key)
        query.startKeyDocumentID = id
        query.endKeyDocumentID = id
        query.limit = 1
        query.reduce = false
        guard let document = try await database.documentIfPresent(id) else { return nil }
        return try await database.view(view, query).rows.isEmpty ? nil : document
    }

    /// Which documents the view has between the start of a query and a row, as it is now.
    private func ids(of query: ViewQuery, upTo last: ViewRow?, in view: ViewName) async throws -> Set<String> {
        guard let last, let id = last.id else { return [] }
        var query = query
        query.includeDocuments = nil
        query.limit = nil
        query.endKey = last.key
        query.endKeyDocumentID = id
        return Set(try await database.view(view, query).rows.compactMap(\.id))
    }
}
