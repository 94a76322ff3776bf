import CouchDocument

/// When an index catches up with the documents.
package enum ViewUpdate: String, Sendable {
    /// Before the answer: the reader sees every write that was acknowledged before it asked.
    case before = "true"
    /// After the answer, in the background.
    case lazy
    /// Not at all.
    case never = "false"
}

/// What a reader asks of a view. The defaults ask for all rows, reduced if the view has a reduce.
package struct ViewIndexQuery: Sendable {
    /// How a reduced view gathers its rows.
    package enum Grouping: Hashable, Sendable {
        /// All rows into one.
        case none
        /// Rows whose array keys agree in so many first elements.
        case level(Int)
        /// Rows of equal keys.
        case exact
    }

    /// The partition whose rows are meant: needed for partitioned views, impossible for others.
    package var partition: String?
    /// Only rows of these keys, in this order; a repeated key repeats its rows.
    package var keys: [JSON]?
    /// The first key in reading order; `nil`: from the beginning.
    package var startKey: JSON?
    /// The last key in reading order; `nil`: to the end.
    package var endKey: JSON?
    /// Where among the rows of `startKey` to begin. Without `startKey` it counts for nothing, as in CouchDB.
    package var startKeyDocumentID: String?
    /// Where among the rows of `endKey` to end. Without `endKey` it counts for nothing.
    package var endKeyDocumentID: String?
    /// Whether rows at the end itself belong to the answer.
    package var inclusiveEnd = true
    /// Reads backwards; start and end change roles.
    package var descending = false
    /// The greatest number of rows; `nil`: all.
    package var limit: Int?
    /// Rows to pass over first.
    package var skip = 0
    /// `nil`: reduce when the view has a reduce.
    package var reduce: Bool?
    /// `group=true`, `group=false`, or not said.
    package var group: Bool?
    /// `group_level`, or not said.
    package var groupLevel: Int?
    /// When the index catches up.
    package var update: ViewUpdate = .before
    /// Whether whole documents are asked for. The index does not read them; it only refuses what CouchDB refuses.
    package var includesDocuments = false
    /// Whether conflicts are asked for, with the same meaning.
    package var includesConflicts = false

    package init() {}

    /// One key: both start and end.
    package var key: JSON? {
        get { startKey == endKey ? startKey : nil }
        set {
            startKey = newValue
            endKey = newValue
        }
    }
}
