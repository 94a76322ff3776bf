import CouchDocument
import CouchStore
import Hummingbird

/// `/{db}/_design/{name}/_view/{view}`: the rows of a view, and its `/queries`.
struct ViewRoutes: Sendable {
    let here: DatabaseCall
    let id: String
    /// Rows whose documents are read at once for `include_docs`, and about how many bytes of bodies: a client that does not
    /// read its answer holds no more.
    private static let batchSize = 100
    private static let batchBytes = 1 << 20

    func answer() async throws -> Answer {
        let call = here.call
        let segments = call.path.segments
        let design = try await DesignRoutes.design(id, in: here.database)
        let view = segments[4]
        if segments.count == 6 && segments[5] == "queries" { return try await queries(design, view) }
        guard segments.count == 5 else { throw Refusal.notFound() }
        try call.allow("GET,POST,HEAD")
        var options = RowOptions()
        if !call.isReading {
            let body = try await call.postedObject()
            if body["queries"] != nil {
                throw Refusal.badRequest("The `queries` parameter is no longer supported at this endpoint")
            }
            try options.read(body)
        }
        try options.read(call.query)
        let result = try await here.database.views.pages(design: design, view: view, Self.query(options))
        let chosen = options
        let writing: Answer.Writing = { writer in
            var rows = RowWriter()
            try await write(result, chosen, &rows, &writer)
            rows.text.raw("\n")
            try await rows.flush(to: &writer)
        }
        let isShort = result.isShort && !options.includesDocuments
        return isShort ? try await .gathered(200, writing) : .json(200, streaming: writing)
    }

    private func queries(_ design: DesignDocument, _ view: String) async throws -> Answer {
        try here.call.allow("POST")
        let body = try await here.call.postedObject()
        guard let list = body["queries"]?.arrayValue else {
            throw Refusal.badRequest("POST body must include `queries` parameter.")
        }
        let views = here.database.views
        let queries = try list.map { item in
            var options = RowOptions()
            try options.read(here.call.query)
            try options.read(item.objectValue ?? [:])
            try views.check(design: design, view: view, Self.query(options))
            return options
        }
        // The first says whether the index can answer. The others are asked when their turn comes: of each query rows are in
        // memory, and of long answers a connection is kept.
        let first: ViewResult? =
            if let options = queries.first {
                try await views.pages(design: design, view: view, Self.query(options))
            } else { nil }
        return .json(200) { writer in
            var rows = RowWriter()
            rows.text.raw("{\"results\":[")
            var begun = first
            for (index, options) in queries.enumerated() {
                let result: ViewResult
                if let first = begun {
                    result = first
                    begun = nil
                } else {
                    result = try await views.pages(design: design, view: view, Self.query(options))
                }
                if index > 0 { rows.text.raw(",\n") }
                var own = RowWriter()
                own.text = rows.text
                try await write(result, options, &own, &writer)
                rows.text = own.text
            }
            rows.text.raw("]}\n")
            try await rows.flush(to: &writer)
        }
    }

    static func query(_ options: RowOptions) -> ViewIndexQuery {
        var query = ViewIndexQuery()
        query.partition = options.partition
        query.keys = options.keys
        query.startKey = options.keys == nil ? options.startKey : nil
        query.endKey = options.keys == nil ? options.endKey : nil
        query.startKeyDocumentID = options.startKeyDocumentID
        query.endKeyDocumentID = options.endKeyDocumentID
        query.inclusiveEnd = options.includesEnd
        query.descending = options.isDescending
        query.limit = options.limit
        query.skip = options.skip
        query.reduce = options.reduce
        query.group = options.group
        query.groupLevel = options.groupLevel
        query.includesDocuments = options.includesDocuments
        query.includesConflicts = options.conflicts
        switch options.update {
        case .before: query.update = .before
        case .afterwards: query.update = .lazy
        case .never: query.update = .never
        }
        return query
    }

    /// Writes one answer, without a newline at its end.
    private func write(
        _ result: ViewResult, _ options: RowOptions, _ rows: inout RowWriter, _ writer: inout any ResponseBodyWriter
    ) async throws {
        rows.text.raw("{")
        if let total = result.totalRows {
            rows.text.raw("\"total_rows\":")
            rows.text.write(total)
            rows.text.raw(",")
        }
        if options.updateSequence {
            rows.text.raw("\"update_seq\":")
            rows.text.write(SequenceText.text(result.updateSequence, of: here.database))
            rows.text.raw(",")
        }
        if let offset = result.offset {
            rows.text.raw("\"offset\":")
            rows.text.write(offset)
            rows.text.raw(",")
        }
        rows.text.raw("\"rows\":[\n")
        var page = result.rows
        while true {
            try await write(page, options, &rows, &writer)
            guard let next = try await result.rest?.next() else { break }
            page = next
        }
        rows.text.raw("\n]}")
    }

    private func write(
        _ page: [ViewRow], _ options: RowOptions, _ rows: inout RowWriter, _ writer: inout any ResponseBodyWriter
    ) async throws {
        var start = 0
        while start < page.count {
            let batch = page[start..<min(start + Self.batchSize, page.count)]
            let documents = options.includesDocuments ? try await self.documents(of: batch) : nil
            let count = documents?.count ?? batch.count
            start += count
            for (index, row) in batch.prefix(count).enumerated() {
                rows.beginRow()
                Self.write(row, &rows.text)
                if let documents {
                    rows.text.raw(",\"doc\":")
                    if let document = documents[index] {
                        try await document.view(options).write(document.stored, of: here.database, to: &rows.text)
                    } else {
                        rows.text.raw("null")
                    }
                }
                rows.text.raw("}")
                if rows.isFull { try await rows.flush(to: &writer) }
            }
        }
    }

    private static func write(_ row: ViewRow, _ text: inout JSONWriter) {
        text.raw("{")
        if let id = row.id {
            text.raw("\"id\":")
            text.write(id)
            text.raw(",")
        }
        text.raw("\"key\":")
        text.raw(row.key)
        text.raw(",\"value\":")
        text.raw(row.value)
    }

    private struct Shown {
        let stored: StoredDocument

        func view(_ options: RowOptions) -> DocumentView {
            var details: DocumentDetails = []
            if options.conflicts { details.insert(.conflicts) }
            if options.encodingInfo { details.insert(.attachmentEncodings) }
            return DocumentView(details: details, attachments: options.attachments)
        }
    }

    /// The documents that `include_docs` shows beside the first of these rows: as many as fit a batch, one at least.
    private func documents(of rows: ArraySlice<ViewRow>) async throws -> [Shown?] {
        let wanted = rows.map(\.document)
        var winners = try await here.database.read(
            ids: wanted.compactMap { $0.revision == nil ? $0.id : nil }, upTo: Self.batchBytes)[...]
        var documents: [Shown?] = []
        for (id, revision) in wanted {
            var found: StoredDocument?
            if let id, let revision {
                if let revision = Revision(revision) {
                    found = try await here.database.read(id, revision: revision)
                }
            } else if id != nil {
                guard let winner = winners.popFirst() else { break }
                found = winner
                if found?.isDeleted == true { found = nil }
            }
            documents.append(found.map(Shown.init))
        }
        return documents
    }
}
