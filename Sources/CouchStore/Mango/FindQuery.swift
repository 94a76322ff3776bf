import CouchDocument

/// What a `_find` or `_explain` asks.
package struct FindQuery: Sendable {
    /// An index by its design document and, if need be, its name.
    struct IndexName: Sendable {
        /// Without `_design/`.
        let design: String
        let name: String?
    }

    let selector: Selector
    let useIndex: IndexName?
    let bookmark: FindBookmark?
    let limit: Int
    let skip: Int
    let sort: FindSort
    /// `nil`: whole documents.
    let fields: FindFields?
    /// `nil`: all partitions.
    let partition: String?
    let copies: Int
    let conflicts: Bool
    let isStaleAllowed: Bool
    let updates: Bool
    let isStable: Bool
    /// Whether the answer tells how much was looked at.
    package let wantsStatistics: Bool
    let allowsFallback: Bool

    private static let defaultLimit = 25

    /// Reads the body of a request.
    ///
    /// - Throws: 400 in CouchDB's words (mango_opts:validate_find), in its order.
    package init(_ body: JSONObject) throws(StoreError) {
        var request = FindRequest(body)
        selector = try Selector(try request.require("selector"))
        useIndex = try Self.indexName(request.take("use_index") ?? nil)
        bookmark = try Self.bookmark(request.take("bookmark") ?? nil)
        limit = try request.count("limit", Self.defaultLimit)
        skip = try request.count("skip", 0)
        sort = try request.take("sort").map(FindSort.init) ?? .none
        fields = try FindFields(request.take("fields") ?? [])
        partition = try Self.partition(request.take("partition") ?? "")
        copies = try request.positive("r", 1)
        conflicts = try request.flag("conflicts", false)
        isStaleAllowed = try Self.stale(request.take("stale") ?? false)
        updates = try request.flag("update", true)
        isStable = try request.flag("stable", false)
        wantsStatistics = try request.flag("execution_stats", false)
        allowsFallback = try request.flag("allow_fallback", true)
        try request.end()
    }

    private static func indexName(_ value: JSON?) throws(StoreError) -> IndexName? {
        guard let value else { return nil }
        let invalid = StoreError.find("invalid_index_name", "Invalid index name: \(ErlangText.plain(value))")
        var parts: [String]
        switch value {
        case .null: return nil
        case .string(let text):
            parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            if parts.count > 1 && parts[0] == "_design" { parts.removeFirst() }
        case .array(let list):
            if list.isEmpty { return nil }
            parts = list.compactMap(\.stringValue)
            guard parts.count == list.count else { throw invalid }
            if parts[0].hasPrefix("_design/") { parts[0].removeFirst("_design/".count) }
        default: throw invalid
        }
        guard (1...2).contains(parts.count) else { throw invalid }
        return IndexName(design: parts[0], name: parts.count > 1 ? parts[1] : nil)
    }

    private static func bookmark(_ value: JSON?) throws(StoreError) -> FindBookmark? {
        switch value {
        case nil, .null?, ""?: return nil
        case .string(let text)?:
            guard let bookmark = FindBookmark(text) else { break }
            return bookmark
        default: break
        }
        throw .find("invalid_bookmark", "Invalid bookmark value: \(value ?? .null)")
    }

    private static func partition(_ value: JSON) throws(StoreError) -> String? {
        if value == "" { return nil }
        guard let name = value.stringValue else { throw .partition("Partition must be a string") }
        try Partition.check(name)
        return name
    }

    private static func stale(_ value: JSON) throws(StoreError) -> Bool {
        switch value {
        case "ok": true
        case "false", false: false
        default:
            throw .find("invalid_value", "Invalid value for stale: \(ErlangText.plain(value))")
        }
    }

    /// When the index catches up with the documents.
    var update: ViewUpdate { updates && !isStaleAllowed ? .before : .never }

    /// The options as `_explain` shows them.
    var json: JSONObject {
        let used = useIndex.map { [$0.design] + ($0.name.map { [$0] } ?? []) } ?? []
        return [
            "use_index": .array(used.map(JSON.string)), "bookmark": .string(bookmark?.text ?? FindBookmark.none),
            "limit": .integer(limit), "skip": .integer(skip), "sort": .object(sort.json),
            "fields": .array(fields?.names.map(JSON.string) ?? []), "partition": .string(partition ?? ""),
            "r": .integer(copies), "conflicts": .bool(conflicts), "stale": isStaleAllowed ? "ok" : false,
            "update": .bool(updates), "stable": .bool(isStable), "execution_stats": .bool(wantsStatistics),
            "allow_fallback": .bool(allowsFallback),
        ]
    }
}
