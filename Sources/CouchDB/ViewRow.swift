public import CouchDocument

/// A row of a view or of `_all_docs`.
public struct ViewRow: Sendable, Hashable {
    /// The document that emitted it; `nil` in reduced rows.
    public let id: String?
    /// The emitted key; `null` in a row that reduces all.
    public let key: JSON
    /// The emitted or reduced value.
    public let value: JSON
    /// The document, when it was asked for and is there.
    public let document: Document?
    /// Why there is no such row, such as `not_found` for a key of `_all_docs`.
    public let error: String?

    /// Reads a row. `nil` when it is no JSON object.
    init?(_ row: JSON) {
        guard let fields = row.objectValue else { return nil }
        id = fields["id"]?.stringValue
        key = fields["key"] ?? .null
        value = fields["value"] ?? .null
        document = fields["doc"]?.objectValue.map { Document(fields: $0) }
        error = fields["error"]?.stringValue
    }
}

/// The rows of one answer.
public struct ViewPage: Sendable, Hashable {
    /// The number of rows of the whole view; `nil` when reduced.
    public let totalRows: Int?
    /// The number of rows before the first; `nil` when reduced or the server does not know.
    public let offset: Int?
    /// The rows.
    public let rows: [ViewRow]
    /// The sequence up to which the view is, when it was asked for.
    public let updateSequence: String?

    init(_ response: Response) throws {
        let object = try response.object()
        guard let list = object["rows"]?.arrayValue else { throw response.badAnswer("it has no rows") }
        rows = try list.map { row in
            guard let row = ViewRow(row) else { throw response.badAnswer("a row is no object") }
            return row
        }
        totalRows = object["total_rows"]?.intValue
        offset = object["offset"]?.intValue
        updateSequence = object["update_seq"].flatMap { $0.isNull ? nil : $0.stringValue ?? $0.description }
    }
}
