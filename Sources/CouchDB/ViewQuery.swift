public import CouchDocument

/// The name of a view: its design document, without `_design/`, and its own.
public struct ViewName: Hashable, Sendable, CustomStringConvertible {
    /// The design document's name.
    public let design: String
    /// The view's name in it.
    public let view: String

    /// A view of that design document.
    public init(design: String, view: String) {
        self.design = design
        self.view = view
    }

    /// Reads `design/view`, such as `Monitor/todo`; also with `_design/` before it. `nil` without exactly one slash.
    public init?(_ text: String) {
        let text = text.hasPrefix("_design/") ? String(text.dropFirst("_design/".count)) : text
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        self.init(design: String(parts[0]), view: String(parts[1]))
    }

    /// `design/view`.
    public var description: String { design + "/" + view }

    /// From the database on, percent-encoded.
    var path: String { "_design/" + design.percentEncodedSegment + "/_view/" + view.percentEncodedSegment }
}

/// Which rows of a view, or of `_all_docs`, and how. Members that are `nil` leave it to the server's default.
public struct ViewQuery: Sendable, Hashable {
    /// Whether a view is brought up to date before it answers.
    public enum Update: String, Sendable {
        /// Before it answers: the default.
        case before = "true"
        /// After it answered.
        case lazy
        /// Not at all.
        case never = "false"
    }

    /// Only rows of this key.
    public var key: JSON?
    /// Only rows of these keys, in this order; sent in a POST.
    public var keys: [JSON]?
    /// From this key on.
    public var startKey: JSON?
    /// Up to this key.
    public var endKey: JSON?
    /// Among the rows of ``startKey``, from this document on.
    public var startKeyDocumentID: String?
    /// Among the rows of ``endKey``, up to this document.
    public var endKeyDocumentID: String?
    /// Whether ``endKey`` itself belongs to the range. Default: yes.
    public var inclusiveEnd: Bool?
    /// Backwards; start and end change roles. Default: no.
    public var descending: Bool?
    /// At most so many rows.
    public var limit: Int?
    /// Without the first so many rows. The server reads past them one by one: prefer ``startKey``.
    public var skip: Int?
    /// Whether to reduce. Default: yes, when the view can.
    public var reduce: Bool?
    /// One reduced row for each key. Default: one for all.
    public var group: Bool?
    /// One reduced row for each beginning of so many elements of array keys.
    public var groupLevel: Int?
    /// Each row's document with it. Default: no.
    public var includeDocuments: Bool?
    /// With the documents, their `_conflicts`. Default: no.
    public var conflicts: Bool?
    /// With the documents, the content of their attachments as base64. Default: stubs.
    public var attachments: Bool?
    /// Whether the view is brought up to date first.
    public var update: Update?
    /// Whether a cluster answers from the same copies each time. Default: no.
    public var stable: Bool?
    /// Whether the rows must be in order. Default: yes.
    public var sorted: Bool?
    /// Whether to tell the sequence up to which the view is. Default: no.
    public var updateSequence: Bool?

    /// All rows.
    public init() {}

    /// The rows of one key.
    public init(key: JSON) { self.key = key }

    /// The rows of these keys, in this order.
    public init(keys: [JSON]) { self.keys = keys }

    /// At most so many rows.
    public init(limit: Int) { self.limit = limit }

    /// The rows from one key to another.
    public init(startKey: JSON?, endKey: JSON?) {
        self.startKey = startKey
        self.endKey = endKey
    }

    /// The options but ``keys``, as JSON.
    var options: JSONObject {
        var options: JSONObject = [:]
        options["key"] = key
        options["start_key"] = startKey
        options["end_key"] = endKey
        options["start_key_doc_id"] = startKeyDocumentID.map(JSON.string)
        options["end_key_doc_id"] = endKeyDocumentID.map(JSON.string)
        options["inclusive_end"] = inclusiveEnd.map(JSON.bool)
        options["descending"] = descending.map(JSON.bool)
        options["limit"] = limit.map(JSON.integer)
        options["skip"] = skip.map(JSON.integer)
        options["reduce"] = reduce.map(JSON.bool)
        options["group"] = group.map(JSON.bool)
        options["group_level"] = groupLevel.map(JSON.integer)
        options["include_docs"] = includeDocuments.map(JSON.bool)
        options["conflicts"] = conflicts.map(JSON.bool)
        options["attachments"] = attachments.map(JSON.bool)
        options["update"] = update.map { .string($0.rawValue) }
        options["stable"] = stable.map(JSON.bool)
        options["sorted"] = sorted.map(JSON.bool)
        options["update_seq"] = updateSequence.map(JSON.bool)
        return options
    }

    /// CouchDB refuses URLs beyond about 8 KiB with an empty 400.
    private static let longestQuery = 4000

    /// A GET with everything in the query; a POST with ``keys`` in its body, or with all when the query would be too long.
    func call(_ path: String) -> Call {
        let options = options
        let query = options.map { name, value in (name, Self.text(name, value)) }
        let length = query.reduce(0) { $0 + $1.0.utf8.count + $1.1.utf8.count }
        var call: Call
        if length > Self.longestQuery {
            var body = options
            body["keys"] = keys.map(JSON.array)
            call = Call("POST", path, body: .json(.object(body)))
        } else if let keys {
            call = Call("POST", path, query: query, body: .json(["keys": .array(keys)]))
        } else {
            call = Call("GET", path, query: query)
        }
        call.repeatability = .safe
        call.patience = .indexing
        return call
    }

    /// Keys are JSON in a query; document ids and words are bare.
    private static func text(_ name: String, _ value: JSON) -> String {
        switch name {
        case "start_key_doc_id", "end_key_doc_id", "update": value.stringValue ?? ""
        default: value.description
        }
    }
}
