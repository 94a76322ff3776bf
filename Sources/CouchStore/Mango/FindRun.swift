import CouchDocument

/// Answers one `_find`: reads rows of the chosen index piece by piece and keeps the documents that match.
///
/// Each piece is read from a snapshot of its own, so that a long scan holds none.
package struct FindRun: Sendable {
    /// How much was looked at.
    package struct Statistics: Sendable {
        package fileprivate(set) var keys = 0
        package fileprivate(set) var documents = 0
        package fileprivate(set) var results = 0
    }

    // Rows at once: few when the first ones can be enough, more for a long scan.
    private static let fewestRows = 50
    private static let mostRows = 500
    // Bytes of documents that one piece is made of, or one larger document: a client that does not read its answer holds
    // no more.
    private static let mostBytes = 1 << 20
    // From this proportion of documents to results on CouchDB warns (mango/index_scan_warning_threshold).
    private static let scanWarningRatio = 10

    private let database: StoredDatabase
    private let query: FindQuery
    private let scan: FindScan
    private var skip: Int
    private var left: Int
    private var size: Int
    private var isFirst = true
    private var isDone: Bool
    /// After which row to read on.
    private var position: FindBookmark?
    /// After the last row that matched.
    private var lastMatch: FindBookmark?
    package private(set) var statistics = Statistics()

    /// Chooses the index.
    ///
    /// - Throws: 400 when none can give the order that is asked for.
    package init(_ query: FindQuery, in database: StoredDatabase) async throws {
        self.database = database
        self.query = query
        let choice = try IndexChoice(
            query, among: try await MangoIndex.all(in: database), isPartitioned: database.isPartitioned)
        scan = FindScan(query, choice)
        skip = query.skip
        left = query.limit
        size = min(max(query.limit.addingReportingOverflow(query.skip).partialValue, Self.fewestRows), Self.mostRows)
        isDone = choice.isEmpty || query.selector.isHopeless || query.limit == 0
        position = query.bookmark
        lastMatch = query.bookmark
    }

    /// Where a later query goes on; `nil`: CouchDB gives none when no document can match.
    package var bookmark: String? {
        if scan.choice.isEmpty || query.selector.isHopeless { return nil }
        return lastMatch?.text ?? FindBookmark.none
    }

    /// What people should know about the answer, one line each.
    package var warning: String? {
        var warnings = scan.choice.isEmpty || query.selector.isHopeless ? [] : scan.choice.warnings(query)
        if statistics.documents > Self.scanWarningRatio * max(1, statistics.results) {
            warnings.append(
                "The number of documents examined is high in proportion to the number of results returned. "
                    + "Consider adding a more specific index to improve this.")
        }
        return warnings.isEmpty ? nil : warnings.joined(separator: "\n")
    }

    /// The next documents that match, as JSON text, with the members that are asked for; `nil` at the end. Can be empty
    /// when a piece held none.
    package mutating func next() async throws -> [[UInt8]]? {
        if isDone { return nil }
        let piece = scan.choice.index.design == nil ? try await documents() : try await rows()
        isFirst = false
        size = Self.mostRows
        isDone = piece.isLast
        var found: [[UInt8]] = []
        for match in piece.matches {
            if left == 0 { break }
            lastMatch = match.place
            if skip > 0 {
                skip -= 1
                continue
            }
            left -= 1
            found.append(match.text)
        }
        statistics.results += found.count
        statistics.keys += piece.keys
        statistics.documents += piece.documents
        position = piece.end ?? position
        if left == 0 { isDone = true }
        return found
    }

    // MARK: Pieces

    /// What a piece of the index gave.
    private struct Piece: Sendable {
        var matches: [(text: [UInt8], place: FindBookmark)] = []
        var keys = 0
        var documents = 0
        var isLast = false
        var end: FindBookmark?
    }

    /// How many matches are wanted yet.
    private var wanted: Int { left.addingReportingOverflow(skip).partialValue }

    private func documents() async throws -> Piece {
        guard var range = scan.documents(after: position, limit: size) else { return Piece(isLast: true) }
        range.mostBytes = Self.mostBytes
        let matcher = Matcher(query)
        let wanted = wanted
        return try await database.core.read { [range] rows in
            var piece = Piece()
            let page = try rows.all(range)
            piece.isLast = !page.hasMore
            for document in page.documents {
                let place = FindBookmark(key: .string(document.id), id: document.id)
                piece.end = place
                if document.id.hasPrefix("_design/") { continue }
                piece.keys += 1
                piece.documents += 1
                if let text = try matcher.match(document) { piece.matches.append((text, place)) }
                if piece.matches.count == wanted { break }
            }
            return piece
        }
    }

    private func rows() async throws -> Piece {
        guard let design = scan.choice.index.design else { return Piece(isLast: true) }
        let plan = scan.plan(after: position, limit: size)
        let (rows, isAll) = try await database.views.firstRows(
            design: design, view: scan.choice.index.name, plan, update: isFirst ? query.update : .never)
        let matcher = Matcher(query)
        let wanted = wanted
        let columns = scan.isCovered ? scan.choice.index.columns : nil
        return try await database.core.read { reader in
            var piece = Piece(isLast: isAll && rows.count < plan.limit)
            var bytes = 0
            for row in rows {
                guard let id = row.id else { continue }
                let key = try JSON(parsing: row.key)
                let place = FindBookmark(key: key, id: id)
                piece.end = place
                piece.keys += 1
                if let columns {
                    if let text = matcher.match(id: id, columns, key) { piece.matches.append((text, place)) }
                } else if let document = try reader.winner(id), !document.isDeleted {
                    piece.documents += 1
                    bytes += document.body.count
                    if let text = try matcher.match(document) { piece.matches.append((text, place)) }
                }
                if piece.matches.count == wanted { break }
                if bytes >= Self.mostBytes {
                    piece.isLast = false
                    break
                }
            }
            return piece
        }
    }
}

/// Looks whether a document matches, and cuts out what is asked for.
private struct Matcher: Sendable {
    private let selector: Selector
    private let fields: FindFields?
    private let details: DocumentDetails

    init(_ query: FindQuery) {
        selector = query.selector
        fields = query.fields
        details = query.conflicts ? [.conflicts] : []
    }

    /// The document as it is to be shown; `nil` when it does not match.
    func match(_ document: StoredDocument) throws -> [UInt8]? {
        var writer = JSONWriter()
        document.write(to: &writer, details: details)
        if case .everything = selector, fields == nil { return writer.bytes }
        let value = try JSON(parsing: writer.bytes)
        guard selector.matches(value) else { return nil }
        return fields.map { JSON.object($0.members(of: value)).encoded() } ?? writer.bytes
    }

    /// The same of what a row of a covering index tells of a document.
    func match(id: String, _ columns: [FieldPath], _ key: JSON) -> [UInt8]? {
        var members: JSONObject = ["_id": .string(id)]
        for (column, value) in zip(columns, key.arrayValue ?? []) { column.set(value, in: &members) }
        let document = JSON.object(members)
        guard let fields, selector.matches(document) else { return nil }
        return JSON.object(fields.members(of: document)).encoded()
    }
}

extension Selector {
    /// An empty `$and` or `$or` alone: CouchDB answers at once, with nothing (mango_cursor:maybe_noop_range).
    fileprivate var isHopeless: Bool {
        switch self {
        case .all(let parts), .any(let parts): parts.isEmpty
        case .everything, .field, .text: false
        }
    }
}
