public import CouchDocument

/// Which changes of a database, and what of them.
public struct ChangesQuery: Sendable, Hashable {
    /// Which changes to let through.
    public enum Filter: Sendable, Hashable {
        /// A filter function `design/name`, with what it finds in `req.query`.
        case function(String, parameters: [String: String] = [:])
        /// Of these documents.
        case documentIDs([String])
        /// What this Mango selector matches.
        case selector(JSONObject)
        /// Of design documents.
        case design
        /// What the map function of a view emits something for.
        case view(ViewName)
    }

    /// After this sequence. `nil`: from the beginning; `now`: only what comes.
    public var since: String?
    /// At most so many.
    public var limit: Int?
    /// Newest first. Default: no.
    public var descending: Bool?
    /// All leaves of each document, not only the winner. Default: no.
    public var allLeaves: Bool?
    /// Each document with its change. Default: no.
    public var includeDocuments: Bool?
    /// With the documents, their `_conflicts`. Default: no.
    public var conflicts: Bool?
    /// With the documents, the content of attachments as base64. Default: stubs.
    public var attachments: Bool?
    /// Only every so many rows have a sequence, which a cluster answers faster. Default: all.
    public var sequenceInterval: Int?
    /// Which to let through. Default: all.
    public var filter: Filter?
    /// In a feed: an empty line after so long without a change, by which both ends know that the other is there.
    public var heartbeat: Duration = .seconds(30)

    /// All changes from the beginning.
    public init() {}

    /// The changes after that sequence; `now`: only what comes.
    public init(since: String) { self.since = since }

    func call(_ path: String, feed: [(String, String)]) -> Call {
        var query = feed
        func add(_ name: String, _ value: (some CustomStringConvertible)?) {
            if let value { query.append((name, value.description)) }
        }
        add("since", since)
        add("limit", limit)
        add("descending", descending)
        add("style", allLeaves == true ? "all_docs" : nil)
        add("include_docs", includeDocuments)
        add("conflicts", conflicts)
        add("attachments", attachments)
        add("seq_interval", sequenceInterval)
        var body: JSONObject?
        switch filter {
        case nil: break
        case .function(let name, let parameters):
            add("filter", name)
            for (name, value) in parameters.sorted(by: { $0.key < $1.key }) { add(name, value) }
        case .documentIDs(let ids):
            add("filter", "_doc_ids")
            body = ["doc_ids": .array(ids.map(JSON.string))]
        case .selector(let selector):
            add("filter", "_selector")
            body = ["selector": .object(selector)]
        case .design: add("filter", "_design")
        case .view(let name):
            add("filter", "_view")
            add("view", name)
        }
        return Call(
            body == nil ? "GET" : "POST", path, query: query, body: body.map { .json(.object($0)) },
            repeatability: .safe, patience: .indexing)
    }
}

/// A change of a document: its latest, older ones are not told.
public struct Change: Sendable, Hashable {
    /// Its place in the row of changes; opaque. `nil` when ``ChangesQuery/sequenceInterval`` left it out.
    public let sequence: String?
    /// The document's id.
    public let id: String
    /// The winning revision, or all leaves with ``ChangesQuery/allLeaves``.
    public let revisions: [Revision]
    /// Whether the document is deleted.
    public let isDeleted: Bool
    /// The document, when it was asked for.
    public let document: Document?

    /// Reads a row. `nil` when it is no change.
    init?(_ row: JSON) {
        guard let fields = row.objectValue, let id = fields["id"]?.stringValue else { return nil }
        self.id = id
        sequence = sequenceText(fields["seq"])
        revisions =
            fields["changes"]?.arrayValue?.compactMap { $0["rev"]?.stringValue.flatMap { Revision($0) } } ?? []
        isDeleted = fields["deleted"] == .bool(true)
        document = fields["doc"]?.objectValue.map { Document(fields: $0) }
    }
}

/// Sequences are strings in CouchDB 2 and later, numbers in 1.x.
func sequenceText(_ value: JSON?) -> String? {
    guard let value, !value.isNull else { return nil }
    return value.stringValue ?? value.description
}

/// The changes of one answer.
public struct ChangesPage: Sendable, Hashable {
    /// The changes, in order.
    public let results: [Change]
    /// Where to go on.
    public let lastSequence: String
    /// How many are left, when the server told.
    public let pending: Int?
}
