public import CouchDB
public import CouchDocument

/// What became of many tokens that were changed together.
public struct BulkChangeReport: Hashable, Sendable {
    /// Documents that were changed or deleted.
    public var changed = 0
    /// Rows whose document is no token, or is not meant: locked too recently, free already, moved out of the view.
    public var left = 0
    /// Ids of which there is no document.
    public var missing: [String] = []
    /// Tokens that others changed each time they were tried.
    public var contended: [String] = []

    /// Nothing yet.
    public init() {}
}

// Changes of many tokens in requests of five hundred, each on the revision that was read.
extension Pool {
    /// Puts the tokens of a view back to todo, as PiCaS' `resetTokens` does: three requests for five hundred of them.
    ///
    /// - Parameters:
    ///   - age: Only tokens that were locked longer ago; `nil` for all.
    ///   - keepsAttachments: Whether logs and outputs stay; input files always do.
    ///   - note: Hears of each token that was put back.
    public func reset(
        _ view: ViewName, lockedFor age: Duration? = nil, keepingAttachments keepsAttachments: Bool = false,
        note: (String) -> Void = { _ in }
    ) async throws -> BulkChangeReport {
        try await change(view, note, resetting(lockedFor: age, keepingAttachments: keepsAttachments))
    }

    /// Puts tokens back to todo, whatever state they are in: two requests for five hundred of them.
    public func reset(
        _ ids: [String], lockedFor age: Duration? = nil, keepingAttachments keepsAttachments: Bool = false,
        note: (String) -> Void = { _ in }
    ) async throws -> BulkChangeReport {
        try await change(ids, note, resetting(lockedFor: age, keepingAttachments: keepsAttachments))
    }

    /// Deletes the documents of a view, as PiCaS' `delete_from_view` does, whoever holds them.
    ///
    /// A document that somebody changed meanwhile is read again, and deleted only if it is in the view still.
    ///
    /// - Parameter endKey: Only rows up to that key; `nil` all.
    public func delete(
        _ view: ViewName, upTo endKey: JSON? = nil, note: (String) -> Void = { _ in }
    ) async throws -> BulkChangeReport {
        try await change(view, upTo: endKey, note, Self.tombstone)
    }

    /// Deletes tokens, whoever holds them.
    public func delete(_ ids: [String], note: (String) -> Void = { _ in }) async throws -> BulkChangeReport {
        try await change(ids, note, Self.tombstone)
    }

    private func resetting(lockedFor age: Duration?, keepingAttachments keeps: Bool) -> (Document) -> Document? {
        let now = clock.now()
        return { document in
            var token = Token(document)
            guard token["lock"]?.numberValue != nil, token.state != .todo else { return nil }
            if let age, now - Timestamp(seconds: token.lock) <= age { return nil }
            token.reset(keepingAttachments: keeps ? nil : Set(token.inputAttachments), at: now)
            return token.document
        }
    }

    private static func tombstone(_ document: Document) -> Document? {
        document.revision.map {
            Document(id: document.id, fields: ["_rev": .string($0.description), "_deleted": true])
        }
    }

    /// Documents that go in one request.
    private static let bulkSize = 500

    /// Writes what `decide` makes of each of these documents.
    private func change(
        _ ids: [String], _ note: (String) -> Void, _ decide: (Document) -> Document?
    ) async throws -> BulkChangeReport {
        var report = BulkChangeReport()
        var seen: Set<String> = []
        let ids = ids.filter { seen.insert($0).inserted }
        for start in stride(from: 0, to: ids.count, by: Self.bulkSize) {
            let some = Array(ids[start..<min(start + Self.bulkSize, ids.count)])
            let found = try await database.documents(some)
            report.missing += zip(some, found).filter { $1 == nil }.map(\.0)
            try await write(found.compactMap { $0 }, into: &report, note, decide) { id in
                try await database.documentIfPresent(id)
            }
        }
        return report
    }

    /// Writes what `decide` makes of each document of the view, page by page.
    private func change(
        _ view: ViewName, upTo endKey: JSON? = nil, _ note: (String) -> Void, _ decide: (Document) -> Document?
    ) async throws -> BulkChangeReport {
        var report = BulkChangeReport()
        var query = ViewQuery(limit: Self.bulkSize)
        query.reduce = false
        query.includeDocuments = true
        query.endKey = endKey
        while true {
            let rows: [ViewRow]
            do { rows = try await database.view(view, query).rows } catch CouchDBError.notFound {
                throw try await missing("view \"\(view)\" is not in")
            }
            // A row's document is as it is now, which may be after it left the view: what the view still has when it is read
            // again belonged to it at that revision, or the write conflicts.
            let meant = try await ids(of: query, upTo: rows.last, in: view)
            var keys: [String: JSON] = [:]
            var open: [Document] = []
            for row in rows {
                // A view may have several rows of a document.
                guard let document = row.document, keys[document.id] == nil else { continue }
                keys[document.id] = row.key
                if meant.contains(document.id) { open.append(document) } else { report.left += 1 }
            }
            try await write(open, into: &report, note, decide) { id in
                // Only what the view still has is meant.
                try await row(of: id, key: keys[id] ?? .null, in: view)
            }
            guard rows.count == Self.bulkSize, let last = rows.last, let id = last.id else { return report }
            // Behind the last row: the rows that left the view meanwhile are not to be skipped once more.
            query.startKey = last.key
            query.startKeyDocumentID = id + "\u{0}"
        }
    }

    /// Writes what `decide` makes of the documents; those that somebody else changed meanwhile are read again.
    private func write(
        _ documents: [Document], into report: inout BulkChangeReport, _ note: (String) -> Void,
        _ decide: (Document) -> Document?, again: (String) async throws -> Document?
    ) async throws {
        var open = documents
        for attempt in 1...Self.patience where !open.isEmpty {
            let writes = open.compactMap(decide)
            report.left += open.count - writes.count
            var lost: [String] = []
            for outcome in try await database.bulkSave(writes) {
                switch outcome {
                case .saved(let id, _, _):
                    report.changed += 1
                    note(id)
                case .failed(let id, let error) where error.code == .conflict: lost.append(id)
                case .failed(_, let error): throw error
                }
            }
            guard attempt < Self.patience else {
                report.contended += lost
                return
            }
            open = []
            // Few lose, so a request each is cheap.
            for id in lost {
                if let document = try await again(id) { open.append(document) } else { report.left += 1 }
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
