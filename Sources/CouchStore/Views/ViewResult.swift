import CouchDocument

/// One row of an answer. Key and value are JSON text, ready to be sent.
package struct ViewRow: Sendable {
    /// The document that emitted the row; `nil` in reduced answers.
    package let id: String?
    /// The key as JSON text.
    package let key: ArraySlice<UInt8>
    /// The value as JSON text.
    package let value: ArraySlice<UInt8>

    /// The document that `include_docs` shows with this row: the one that `value._id` (and `value._rev`) names, else the
    /// row's own. An id of `nil`: there is none.
    package var document: (id: String?, revision: String?) {
        guard value.first == UInt8(ascii: "{"), let members = try? JSON(parsing: value).objectValue else {
            return (id, nil)
        }
        let revision = members["_rev"]?.stringValue
        guard let linked = members["_id"] else { return (id, revision) }
        return (linked.stringValue, revision)
    }
}

/// The answer to a view query.
package struct ViewResult: Sendable {
    /// All rows of the view; `nil` in reduced answers.
    package let totalRows: Int?
    /// How many rows stand before the first one; `nil` in reduced answers.
    package let offset: Int?
    /// The database's sequence that the answer stands for.
    package let updateSequence: Int
    package internal(set) var rows: [ViewRow]
    /// What follows ``rows`` in an answer that is read page by page.
    package internal(set) var rest: ViewRowPages?

    init(totalRows: Int?, offset: Int?, updateSequence: Int, rows: [ViewRow], rest: ViewRowPages? = nil) {
        self.totalRows = totalRows
        self.offset = offset
        self.updateSequence = updateSequence
        self.rows = rows
        self.rest = rest
    }

    /// Whether the rows are few and small, and all here.
    package var isShort: Bool {
        guard rest == nil, rows.count <= 128 else { return false }
        return rows.reduce(0) { $0 + $1.key.count + $1.value.count } <= 64 << 10
    }

    /// The answer with all its rows.
    func whole() async throws -> ViewResult {
        var result = self
        while let rows = try await rest?.next() { result.rows += rows }
        result.rest = nil
        return result
    }
}

/// What is known about the index of a design document (`_info`).
package struct ViewIndexInformation: Sendable {
    /// 32 hex digits that stand for the functions and options.
    package let signature: String
    package let language: String
    /// Bytes of the file, of the live rows in it and of their keys and values.
    package let sizes: (file: Int, active: Int, external: Int)
    /// Whether the index is catching up just now.
    package let isUpdating: Bool
    /// Whether its file is being compacted.
    package let isCompacting: Bool
    /// How many queries wait for it.
    package let waitingClients: Int
    /// The database's sequence up to which the index has come.
    package let updateSequence: Int
    /// How many changes it has yet to see.
    package let updatesPending: Int
    /// The version of the collation data.
    package let collatorVersion: String
}
