import CouchDocument
import CouchStore

/// Reads what `_all_docs` lists, page by page, from ids in order or from keys. A page of large documents is no larger than
/// one of small ones: a client that does not read its answer holds no more.
struct AllDocumentsRows: Sendable {
    /// One row of the answer.
    enum Row: Sendable {
        case document(StoredDocument)
        /// No document has this key.
        case missing(JSON)
    }

    private enum Rest {
        case range(AllDocumentsQuery, limit: Int)
        case keys(ArraySlice<JSON>, isDesign: Bool, withBodies: Bool)
    }

    /// Rows of a page.
    static let mostRows = 1000

    private let database: StoredDatabase
    private var rest: Rest
    /// The first page is kept while the answer lasts.
    private var isFirst = true

    /// The documents of a range of ids, at most `limit` of them.
    init(_ query: AllDocumentsQuery, limit: Int, of database: StoredDatabase) {
        self.database = database
        rest = .range(query, limit: limit)
    }

    /// The documents that are named, in that order.
    ///
    /// - Parameter isDesign: Only design documents are found.
    init(keys: [JSON], isDesign: Bool, withBodies: Bool, of database: StoredDatabase) {
        self.database = database
        rest = .keys(keys[...], isDesign: isDesign, withBodies: withBodies)
    }

    /// Whether there is nothing left to read.
    var isAtEnd: Bool {
        switch rest {
        case .range(_, let limit): limit <= 0
        case .keys(let keys, _, _): keys.isEmpty
        }
    }

    /// The next rows; `nil` when there are no more.
    mutating func next() async throws -> [Row]? {
        switch rest {
        case .range(let query, let limit): try await next(query, limit)
        case .keys(let keys, let isDesign, let withBodies): try await next(keys, isDesign, withBodies)
        }
    }

    private mutating func next(_ range: AllDocumentsQuery, _ limit: Int) async throws -> [Row]? {
        if limit <= 0 { return nil }
        var query = range
        query.limit = min(limit, Self.mostRows)
        query.mostBytes = RowWriter.mostPageBytes
        let page = try await database.allDocuments(query)
        if let last = page.documents.last { query.startKey = last.id }
        rest = .range(query, limit: page.hasMore ? limit - page.documents.count : 0)
        return page.documents.map { .document($0) }
    }

    private mutating func next(_ keys: ArraySlice<JSON>, _ isDesign: Bool, _ withBodies: Bool) async throws -> [Row]? {
        if keys.isEmpty { return nil }
        func id(_ key: JSON) -> String? {
            guard let text = key.stringValue else { return nil }
            return !isDesign || text.hasPrefix("_design/") ? text : nil
        }
        let page = keys.prefix(Self.mostRows)
        let bytes = isFirst ? RowWriter.enough : RowWriter.mostPageBytes
        isFirst = false
        var found = try await database.read(
            ids: page.compactMap(id), upTo: bytes, withBodies: withBodies)[...]
        var rows: [Row] = []
        for key in page {
            if id(key) == nil {
                rows.append(.missing(key))
            } else if let document = found.popFirst() {
                rows.append(document.map { .document($0) } ?? .missing(key))
            } else {
                break  // Enough bytes: the others are of the next page.
            }
        }
        rest = .keys(keys.dropFirst(rows.count), isDesign: isDesign, withBodies: withBodies)
        return rows
    }
}
