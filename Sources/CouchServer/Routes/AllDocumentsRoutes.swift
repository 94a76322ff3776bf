import CouchDocument
import CouchStore
import Hummingbird

/// `_all_docs`, `_design_docs` and `_local_docs`, and their `/queries`.
struct AllDocumentsRoutes: Sendable {
    let here: DatabaseCall
    /// Local documents are few: replicators' checkpoints.
    private static let noLimit = Int(Int32.max)

    private enum Kind { case all, design, local }
    private var kind: Kind {
        switch here.call.path.segments[1] {
        case "_design_docs": .design
        case "_local_docs": .local
        default: .all
        }
    }

    func answer() async throws -> Answer {
        let call = here.call
        if call.path.segments.count == 3 && call.path.segments[2] == "queries" { return try await queries() }
        try call.allow("GET,HEAD,POST")
        var options = RowOptions()
        options.keysName = "body member"
        if !call.isReading { try options.read(try await call.postedObject()) }
        try options.read(call.query)
        try options.requireKeysAlone()
        let (first, more) = try await rows(options)
        guard let more else { return .json(200, written: first.text.bytes) }
        return .json(200) { writer in
            var rows = first
            try await rows.flush(to: &writer)
            try await more(&rows, &writer)
        }
    }

    private func queries() async throws -> Answer {
        try here.call.allow("POST")
        let body = try await here.call.postedObject()
        guard let list = body["queries"]?.arrayValue else {
            throw Refusal.badRequest("POST body must include `queries` parameter.")
        }
        var answers: [RowOptions] = []
        for item in list {
            var options = RowOptions()
            try options.read(here.call.query)
            try options.read(item.objectValue ?? [:])
            answers.append(options)
        }
        let wanted = answers
        return .json(200) { writer in
            var separator = RowWriter()
            separator.text.raw("{\"results\":[")
            for options in wanted {
                separator.beginRow()
                try await separator.flush(to: &writer)
                var (first, more) = try await rows(options)
                try await first.flush(to: &writer)
                if let more { try await more(&first, &writer) }
            }
            separator.text.raw("\n]}\n")
            try await separator.flush(to: &writer)
        }
    }

    /// Writes the pages after the first.
    private typealias Rest = @Sendable (inout RowWriter, inout any ResponseBodyWriter) async throws -> Void

    /// The first page, and what writes the others if there are any.
    private func rows(_ options: RowOptions) async throws -> (first: RowWriter, more: Rest?) {
        if options.reduce == true { throw Refusal.queryParse("Reduce is invalid for map-only views.") }
        if options.group == true || options.groupLevel != nil {
            throw Refusal.queryParse("Invalid use of grouping on a map view.")
        }
        if options.partition != nil && !here.database.isPartitioned {
            throw Refusal.queryParse("`partition` parameter is not supported on this db")
        }
        if kind == .local { return (try await localRows(options), nil) }
        if options.keys != nil { return try await rowsOfKeys(options) }
        var query = AllDocumentsQuery(limit: min(options.limit ?? .max, AllDocumentsRows.mostRows))
        query.isDescending = options.isDescending
        query.skip = options.skip
        query.includesBodies = options.includesDocuments
        query.mostBytes = RowWriter.enough
        query.wantsOffset = true
        query.startKey = options.startKey == nil ? options.startKeyDocumentID : options.startKey?.stringValue
        query.endKey = options.endKey?.stringValue
        query.inclusiveEnd = options.includesEnd
        // No id is `_design0` or a partition's name with a semicolon, so the ends can be included.
        if kind == .design { restrict(&query, from: "_design/", to: "_design0") }
        if let partition = options.partition { restrict(&query, from: partition + ":", to: partition + ";") }
        // Ids are texts: nothing lies before or at a key that is none.
        let matchesNothing = options.endKey != nil && options.endKey?.stringValue == nil
        if matchesNothing { query.limit = 0 }
        let page = try await here.database.allDocuments(query)
        var total = page.totalRows
        if kind == .design { total = try await here.database.designDocuments().count }
        var rows = RowWriter()
        Self.begin(
            &rows, total: total, offset: matchesNothing ? 0 : min(page.offset ?? 0, total),
            sequence: options.updateSequence ? SequenceText.text(page.updateSequence, of: here.database) : nil)
        let left = (options.limit ?? .max) - page.documents.count
        var more: AllDocumentsRows?
        if page.hasMore, left > 0, !matchesNothing, let last = page.documents.last {
            query.skip = 0
            query.wantsOffset = false
            query.startKey = last.id
            query.startIsExclusive = true
            more = AllDocumentsRows(query, limit: left, of: here.database)
        }
        return try await write(page.documents.map { .document($0) }, then: more, options, to: rows)
    }

    private func restrict(_ query: inout AllDocumentsQuery, from first: String, to last: String) {
        func lesser(_ left: String, _ right: String) -> Bool { left.utf8.lexicographicallyPrecedes(right.utf8) }
        var low = query.isDescending ? query.endKey : query.startKey
        var high = query.isDescending ? query.startKey : query.endKey
        if low.map({ lesser($0, first) }) ?? true { low = first }
        if high.map({ lesser(last, $0) }) ?? true { high = last }
        query.startKey = query.isDescending ? high : low
        query.endKey = query.isDescending ? low : high
    }

    private static func begin(_ rows: inout RowWriter, total: Int?, offset: Int?, sequence: String?) {
        func number(_ value: Int?) { if let value { rows.text.write(value) } else { rows.text.raw("null") } }
        rows.text.raw("{\"total_rows\":")
        number(total)
        if let sequence {
            rows.text.raw(",\"update_seq\":")
            rows.text.write(sequence)
        }
        rows.text.raw(",\"offset\":")
        number(offset)
        rows.text.raw(",\"rows\":[\n")
    }

    private func view(_ options: RowOptions) -> DocumentView {
        var details: DocumentDetails = []
        if options.conflicts { details.insert(.conflicts) }
        if options.encodingInfo { details.insert(.attachmentEncodings) }
        return DocumentView(details: details, attachments: options.attachments)
    }

    /// Writes rows into the first piece of the answer while it is small; what is left over and the pages after it are
    /// written as the client takes them.
    private func write(
        _ page: [AllDocumentsRows.Row], then pages: AllDocumentsRows?, _ options: RowOptions, to first: RowWriter
    ) async throws -> (first: RowWriter, more: Rest?) {
        var rows = first
        var left = page[...]
        while !rows.isFull, let row = left.popFirst() { try await write(row, options, to: &rows) }
        if left.isEmpty && pages == nil {
            rows.end()
            return (rows, nil)
        }
        return (
            rows,
            { [left] rows, writer in
                var pages = pages
                var page: [AllDocumentsRows.Row]? = Array(left)
                while let current = page {
                    for row in current {
                        try await write(row, options, to: &rows)
                        if rows.isFull { try await rows.flush(to: &writer) }
                    }
                    page = try await pages?.next()
                }
                rows.end()
                try await rows.flush(to: &writer)
            }
        )
    }

    private func write(_ row: AllDocumentsRows.Row, _ options: RowOptions, to rows: inout RowWriter) async throws {
        rows.beginRow()
        switch row {
        case .missing(let key): rows.text.write(["key": key, "error": "not_found"] as JSONObject)
        case .document(let document):
            rows.text.raw("{\"id\":")
            rows.text.write(document.id)
            rows.text.raw(",\"key\":")
            rows.text.write(document.id)
            rows.text.raw(",\"value\":{\"rev\":\"")
            rows.text.raw(document.revision.description.utf8)
            rows.text.raw(document.isDeleted ? "\",\"deleted\":true}" : "\"}")
            if options.includesDocuments {
                rows.text.raw(",\"doc\":")
                if document.isDeleted {
                    rows.text.raw("null")
                } else {
                    try await view(options).write(document, of: here.database, to: &rows.text)
                }
            }
            rows.text.raw("}")
        }
    }

    private func rowsOfKeys(_ options: RowOptions) async throws -> (first: RowWriter, more: Rest?) {
        var keys = options.keys ?? []
        if options.isDescending { keys.reverse() }
        keys = Array(keys.dropFirst(options.skip).prefix(options.limit ?? .max))
        let info = try await here.database.info()
        let total = kind == .design ? try await here.database.designDocuments().count : info.documentCount
        var rows = RowWriter()
        Self.begin(
            &rows, total: total, offset: nil,
            sequence: options.updateSequence ? SequenceText.text(info.updateSequence, of: here.database) : nil)
        var pages = AllDocumentsRows(
            keys: keys, isDesign: kind == .design, withBodies: options.includesDocuments, of: here.database)
        let first = try await pages.next() ?? []
        return try await write(first, then: pages.isAtEnd ? nil : pages, options, to: rows)
    }

    private func localRows(_ options: RowOptions) async throws -> RowWriter {
        func key(_ json: JSON?) -> String? { json?.stringValue }
        var query = AllDocumentsQuery(limit: options.keys == nil ? options.limit ?? Self.noLimit : Self.noLimit)
        query.isDescending = options.isDescending
        query.skip = options.keys == nil ? options.skip : 0
        query.startKey = options.keys == nil ? key(options.startKey) : nil
        query.endKey = options.keys == nil ? key(options.endKey) : nil
        query.inclusiveEnd = options.includesEnd
        let documents = try await here.database.localDocuments(query)
        var rows = RowWriter()
        Self.begin(
            &rows, total: nil, offset: nil,
            sequence: options.updateSequence ? SequenceText.text(here.database.lastSequence, of: here.database) : nil)
        func write(_ document: Document) {
            rows.beginRow()
            var row: JSONObject = [
                "id": .string(document.id), "key": .string(document.id), "value": ["rev": document["_rev"] ?? .null],
            ]
            if options.includesDocuments { row["doc"] = .object(document.fields) }
            rows.text.write(row)
        }
        for key in options.keys ?? [] {
            if let document = documents.first(where: { .string($0.id) == key }) {
                write(document)
            } else {
                rows.beginRow()
                rows.text.write(["key": key, "error": "not_found"] as JSONObject)
            }
        }
        if options.keys == nil { documents.forEach(write) }
        rows.end()
        return rows
    }
}
