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
    /// Whether bodies and attachments are read too.
    package var includesBodies = false
    /// Whether ``AllDocumentsPage/offset`` is wanted: it costs a count of the rows before.
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
}
