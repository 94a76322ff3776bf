import CouchDocument

/// What to read of the documents by id, in the order of the ids' bytes. Deleted documents are left out.
package struct AllDocumentsQuery: Sendable {
    /// The first id (the last in order when descending); `nil`: no bound.
    package var startKey: String?
    /// Whether ``startKey`` itself is left out: for reading on after a page.
    package var startIsExclusive = false
    /// The last id; `nil`: no bound.
    package var endKey: String?
    /// Whether ``endKey`` itself is in.
    package var inclusiveEnd = true
    /// From the greatest id down.
    package var isDescending = false
    /// At most this many rows.
    package var limit: Int
    /// Leave out this many first.
    package var skip = 0
    /// A page ends once its bodies have this many bytes, so that a page of large documents is no larger than one of
    /// small ones.
    package var mostBytes = Int.max
    /// Whether bodies and attachments are read too.
    package var includesBodies = false
    /// Whether ``AllDocumentsPage/offset`` is wanted.
    package var wantsOffset = false

    /// All documents, `limit` at a time.
    package init(limit: Int = 1000) { self.limit = limit }
}

/// Documents by id.
package struct AllDocumentsPage: Sendable {
    /// The winners in order. Bodies are empty unless asked for.
    package let documents: [StoredDocument]
    /// The number of documents that are not deleted, in the same snapshot.
    package let totalRows: Int
    /// The number of rows before the first one, when wanted.
    package let offset: Int?
    /// The database's update sequence in the same snapshot.
    package let updateSequence: Int
    /// Whether rows may remain after the last one: the page ended before the range did.
    package let hasMore: Bool
}

/// The bounds of a query on ids, as conditions on `?1` (start) and `?2` (end).
struct IDRange {
    private let query: AllDocumentsQuery

    init(_ query: AllDocumentsQuery) { self.query = query }

    var condition: String {
        var parts: [String] = []
        if query.startKey != nil {
            parts.append("id " + (query.isDescending ? "<" : ">") + (query.startIsExclusive ? "" : "=") + " ?1")
        }
        if query.endKey != nil {
            parts.append("id " + (query.isDescending ? ">" : "<") + (query.inclusiveEnd ? "=" : "") + " ?2")
        }
        return parts.isEmpty ? "TRUE" : parts.joined(separator: " AND ")
    }

    var order: String { query.isDescending ? "ORDER BY id DESC" : "ORDER BY id" }

    func bind(_ statement: SQLStatement) {
        if let start = query.startKey { statement.bind(1, start) }
        if let end = query.endKey { statement.bind(2, end) }
    }
}

extension DocumentRows {
    func all(_ query: AllDocumentsQuery) throws -> AllDocumentsPage {
        let state = try DatabaseState(reading: database)
        let range = IDRange(query)
        var documents: [StoredDocument] = []
        var hasMore = false
        if query.limit > 0 {
            let columns = query.includesBodies ? Self.columnsWithBody : Self.columns
            let row = try SQLStatement(
                database,
                """
                SELECT \(columns) FROM documents INDEXED BY documents_by_id
                WHERE deleted = 0 AND \(range.condition) \(range.order) LIMIT ?3 OFFSET ?4
                """)
            range.bind(row)
            row.bind(3, query.limit).bind(4, query.skip)
            defer { row.reset() }
            var bytes = 0
            while bytes < query.mostBytes, try row.step() {
                let document = Self.document(row, withBody: query.includesBodies)
                bytes += document.body.count
                documents.append(document)
            }
            hasMore = documents.count == query.limit || bytes >= query.mostBytes
        }
        var offset: Int?
        if query.wantsOffset {
            var before = 0
            if let start = query.startKey {
                // Descending, what comes before the start is what comes after it in the order of ids.
                let including = query.isDescending != query.startIsExclusive
                before = try IDCounts.documents(before: start, including: including, in: database)
                if query.isDescending { before = state.documents - before }
            }
            offset = min(before + query.skip, state.documents)
        }
        return AllDocumentsPage(
            documents: documents, totalRows: state.documents, offset: offset, updateSequence: state.sequence,
            hasMore: hasMore)
    }

    func changes(_ range: ChangesRange) throws -> ChangesPage {
        let state = try DatabaseState(reading: database)
        var documents: [StoredDocument] = []
        var isCut = false
        var bytes = 0
        if let ids = range.ids {
            for document in try winners(of: ids, in: range).prefix(range.limit == Int.max ? .max : range.limit + 1) {
                isCut = bytes >= range.mostBytes
                if isCut { break }
                // Seen in this snapshot just now.
                let found = range.includesBodies ? try winner(document.id) ?? document : document
                bytes += found.body.count
                documents.append(found)
            }
        } else {
            let columns = range.includesBodies ? Self.columnsWithBody : Self.columns
            let row = try SQLStatement(
                database,
                range.isDescending
                    ? "SELECT \(columns) FROM documents WHERE sequence < ? ORDER BY sequence DESC LIMIT ?"
                    : "SELECT \(columns) FROM documents WHERE sequence > ? ORDER BY sequence LIMIT ?")
            row.bind(1, range.isDescending && range.since == 0 ? Int.max : range.since)
            // One row more tells whether there are more.
            row.bind(2, range.limit == Int.max ? range.limit : range.limit + 1)
            defer { row.reset() }
            while bytes < range.mostBytes, try row.step() {
                let document = Self.document(row, withBody: range.includesBodies)
                bytes += document.body.count
                documents.append(document)
            }
            isCut = bytes >= range.mostBytes
        }
        let hasMore = documents.count > range.limit || isCut
        if documents.count > range.limit { documents.removeLast(documents.count - range.limit) }
        return ChangesPage(
            changes: documents.map { StoredChange(document: $0) }, updateSequence: state.sequence, hasMore: hasMore)
    }

    /// Those of these documents that lie in the range, in its order, without bodies.
    private func winners(of ids: [String], in range: ChangesRange) throws -> [StoredDocument] {
        var documents: [StoredDocument] = []
        var seen: Set<String> = []
        for id in ids where seen.insert(id).inserted {
            guard let document = try winner(id, withBody: false) else { continue }
            let isBefore = range.since > 0 && document.sequence >= range.since
            if range.isDescending ? isBefore : document.sequence <= range.since { continue }
            documents.append(document)
        }
        return documents.sorted { range.isDescending ? $0.sequence > $1.sequence : $0.sequence < $1.sequence }
    }
}
