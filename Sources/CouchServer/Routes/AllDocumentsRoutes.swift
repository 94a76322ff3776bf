import CouchDocument
import CouchStore
import Hummingbird

/// `_all_docs`, `_design_docs` and `_local_docs`, and their `/queries`.
struct AllDocumentsRoutes: Sendable {
    let here: DatabaseCall
    private static let pageSize = 1000
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
        var query = AllDocumentsQuery(limit: min(options.limit ?? .max, Self.pageSize))
        query.isDescending = options.isDescending
        query.skip = options.skip
        query.includesBodies = options.includesDocuments
        query.mostBytes = RowWriter.mostPageBytes
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
        try await write(page.documents, options, to: &rows)
        let left = (options.limit ?? .max) - page.documents.count
        guard page.hasMore, left > 0, !matchesNothing, let last = page.documents.last else {
            rows.end()
            return (rows, nil)
        }
        var next = query
        next.skip = 0
        next.wantsOffset = false
        return (rows, rest(after: last.id, next, left: left, options))
    }

    private func rest(after last: String, _ query: AllDocumentsQuery, left: Int, _ options: RowOptions) -> Rest {
        { rows, writer in
            var query = query
            var left = left
            query.startKey = last
            query.startIsExclusive = true
            while left > 0 {
                query.limit = min(left, Self.pageSize)
                let page = try await here.database.allDocuments(query)
                try await write(page.documents, options, to: &rows)
                try await rows.flush(to: &writer)
                left -= page.documents.count
                guard page.hasMore, let last = page.documents.last else { break }
                query.startKey = last.id
            }
            rows.end()
            try await rows.flush(to: &writer)
        }
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

    private func write(_ documents: [StoredDocument], _ options: RowOptions, to rows: inout RowWriter) async throws {
        let view = view(options)
        for document in documents {
            rows.beginRow()
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
                    try await view.write(document, of: here.database, to: &rows.text)
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
        // Documents named one by one can all be large, so fewer of them are read at once.
        let size = options.includesDocuments ? Self.pageSize / 10 : Self.pageSize
        let pages = stride(from: 0, to: keys.count, by: size).map { Array(keys[$0..<min($0 + size, keys.count)]) }
        try await write(keys: pages.first ?? [], options, to: &rows)
        guard pages.count > 1 else {
            rows.end()
            return (rows, nil)
        }
        return (
            rows,
            { rows, writer in
                for page in pages.dropFirst() {
                    try await write(keys: page, options, to: &rows)
                    try await rows.flush(to: &writer)
                }
                rows.end()
                try await rows.flush(to: &writer)
            }
        )
    }

    private func write(keys: [JSON], _ options: RowOptions, to rows: inout RowWriter) async throws {
        func isWanted(_ id: String) -> Bool { kind != .design || id.hasPrefix("_design/") }
        let ids = keys.map { $0.stringValue.flatMap { isWanted($0) ? $0 : nil } }
        var documents = try await here.database.read(ids: ids.compactMap { $0 })[...]
        for (key, id) in zip(keys, ids) {
            if id != nil, let found = documents.popFirst(), let document = found {
                try await write([document], options, to: &rows)
            } else {
                rows.beginRow()
                rows.text.write(["key": key, "error": "not_found"] as JSONObject)
            }
        }
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
