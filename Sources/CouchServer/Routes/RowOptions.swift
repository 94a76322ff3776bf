import CouchDocument

/// The options of `_all_docs` and of views, from a query string or a JSON body.
struct RowOptions: Sendable {
    /// Whether an index is caught up before it answers.
    enum Update: Sendable { case before, never, afterwards }

    /// What a refusal calls `keys` in a body: CouchDB has two words.
    var keysName = "member"
    var key: JSON?
    var keys: [JSON]?
    var partition: String?
    var startKey: JSON?
    var endKey: JSON?
    var startKeyDocumentID: String?
    var endKeyDocumentID: String?
    var includesEnd = true
    var isDescending = false
    var limit: Int?
    var skip = 0
    var reduce: Bool?
    /// `nil`: not said.
    var group: Bool?
    var groupLevel: Int?
    var includesDocuments = false
    var conflicts = false
    var attachments = false
    var encodingInfo = false
    var updateSequence = false
    var update = Update.before
    var isSorted = true

    /// Reads a query string; unknown parameters are ignored, as CouchDB does.
    mutating func read(_ query: Query) throws(Refusal) {
        for (name, value) in query.items { try read(name, .text(value)) }
    }

    /// Reads a JSON body, which says the same with JSON values.
    mutating func read(_ body: JSONObject) throws(Refusal) {
        for (name, value) in body { try read(name, .json(value)) }
    }

    /// `_all_docs` takes either keys or a range; views take both and let the keys win.
    func requireKeysAlone() throws(Refusal) {
        if keys != nil && (startKey != nil || endKey != nil) {
            throw .queryParse("`keys` is incompatible with `key`, `start_key` and `end_key`")
        }
    }

    private enum Value {
        case text(String)
        case json(JSON)

        func json() throws(Refusal) -> JSON {
            switch self {
            case .text(let text): try Query.json(text)
            case .json(let value): value
            }
        }

        var string: String {
            switch self {
            case .text(let text): text
            case .json(.string(let text)): text
            case .json(let value): value.description
            }
        }

        func boolean() throws(Refusal) -> Bool {
            switch self {
            case .text(let text), .json(.string(let text)): try Query.boolean(text)
            case .json(.bool(let value)): value
            case .json(let value): throw .queryParse("Invalid boolean parameter: \(value)")
            }
        }

        func integer() throws(Refusal) -> Int {
            switch self {
            case .text(let text): return try Query.integer(text)
            case .json(.integer(let number)):
                if number < 0 { throw .queryParse("Invalid value for positive integer: \(number)") }
                return min(number, Query.greatestInteger)
            case .json(.string(let text)): throw .queryParse("Invalid value for integer: <<\(JSON.string(text))>>")
            case .json(let value): throw .queryParse("Invalid value for integer: \(value)")
            }
        }

        func keys(_ kind: String) throws(Refusal) -> [JSON] {
            if case .json(let value) = self {
                guard let list = value.arrayValue else {
                    throw .badRequest("`keys` \(kind) must be an array.")
                }
                return list
            }
            guard let list = try json().arrayValue else { throw .badRequest("`keys` parameter must be an array.") }
            return list
        }
    }

    private mutating func read(_ name: String, _ value: Value) throws(Refusal) {
        switch name {
        case "key":
            key = try value.json()
            startKey = key
            endKey = key
        case "partition":
            if value.string.isEmpty { throw .queryParse("Invalid value for `partition`.") }
            partition = value.string
        case "keys": keys = try value.keys(keysName)
        case "startkey", "start_key": startKey = try value.json()
        case "endkey", "end_key": endKey = try value.json()
        case "startkey_docid", "start_key_doc_id": startKeyDocumentID = value.string
        case "endkey_docid", "end_key_doc_id": endKeyDocumentID = value.string
        case "inclusive_end": includesEnd = try value.boolean()
        case "descending": isDescending = try value.boolean()
        case "limit": limit = try value.integer()
        case "skip": skip = try value.integer()
        case "reduce": reduce = try value.boolean()
        case "group": group = try value.boolean()
        case "group_level": groupLevel = try value.integer()
        case "include_docs": includesDocuments = try value.boolean()
        case "conflicts": conflicts = try value.boolean()
        case "attachments": attachments = try value.boolean()
        case "att_encoding_info": encodingInfo = try value.boolean()
        case "update_seq": updateSequence = try value.boolean()
        case "sorted": isSorted = try value.boolean()
        case "stable":
            if !["true", "false"].contains(value.string) { throw .queryParse("Invalid value for `stable`.") }
        case "stale", "update": try readUpdate(name, value.string)
        default: break
        }
    }

    private mutating func readUpdate(_ name: String, _ value: String) throws(Refusal) {
        switch (name, value) {
        case ("stale", "ok"), ("update", "false"): update = .never
        case ("stale", "update_after"), ("update", "lazy"): update = .afterwards
        case ("update", "true"): update = .before
        default: throw .queryParse("Invalid value for `\(name)`.")
        }
    }

    /// The names of a sorted list that these options ask for, in their order.
    func select(_ names: [String]) -> [String] {
        let start = startKey?.stringValue
        let end = endKey?.stringValue
        func precedes(_ left: String, _ right: String) -> Bool { left.utf8.lexicographicallyPrecedes(right.utf8) }
        let ordered = isDescending ? names.reversed() : names
        let chosen = ordered.filter { name in
            if let start, isDescending ? precedes(start, name) : precedes(name, start) { return false }
            guard let end else { return true }
            if !includesEnd && name == end { return false }
            return isDescending ? !precedes(name, end) : !precedes(end, name)
        }
        return Array(chosen.dropFirst(skip).prefix(limit ?? .max))
    }
}
