import CouchDocument

/// A view query after its options were found to be possible: which ranges to read, in which direction, how gathered.
struct ViewQueryPlan: Sendable {
    /// What a range of rows becomes.
    enum Output: Sendable {
        case rows
        /// One row a group.
        case reduced(ViewIndexQuery.Grouping)
    }

    /// Rows from a position (`nil`: the first) up to but without another (`nil`: past the last).
    struct Range: Sendable {
        let lower: [UInt8]?
        let upper: [UInt8]?
    }

    let output: Output
    let ranges: [Range]
    let descending: Bool
    let skip: Int
    let limit: Int
    let order: CollationKey.Order
    /// What the sort keys of all its rows begin with: the partition, or nothing.
    let prefix: [UInt8]

    /// A range of rows as it is, in reading order.
    init(range: Range, descending: Bool, limit: Int, prefix: [UInt8]) {
        output = .rows
        ranges = [range]
        self.descending = descending
        skip = 0
        self.limit = limit
        order = .unicode
        self.prefix = prefix
    }

    /// - Throws: 400 `query_parse_error` with CouchDB's reasons (couch_mrview_util:validate_args and check_range).
    init(
        _ query: ViewIndexQuery, isReducible: Bool, order: CollationKey.Order, isPartitioned: Bool
    ) throws(StoreError) {
        switch (query.partition, isPartitioned) {
        case (let partition?, true): prefix = Self.partitionPrefix(partition)
        case (nil, false): prefix = []
        case (nil, true): throw .query("`partition` parameter is mandatory for queries to this view.")
        case (_?, false): throw .query("`partition` parameter is not supported in this design doc")
        }
        var query = query
        // CouchDB takes a single key of `keys` for `key`.
        if let keys = query.keys, keys.count == 1 {
            query.keys = nil
            query.key = keys[0]
        }
        let grouping = try Self.grouping(query)
        if query.reduce == true && !isReducible { throw .query("Reduce is invalid for map-only views.") }
        let isReduced = isReducible && query.reduce != false
        if isReduced {
            if query.includesDocuments { throw .query("`include_docs` is invalid for reduce") }
            if query.includesConflicts { throw .query("`conflicts` is invalid for reduce views.") }
            if query.keys != nil && grouping != .exact {
                throw .query("Multi-key fetches for reduce views must use `group=true`")
            }
        } else if grouping != .none {
            throw .query("Invalid use of grouping on a map view.")
        }
        output = isReduced ? .reduced(grouping) : .rows
        descending = query.descending
        skip = query.skip
        limit = query.limit ?? .max
        self.order = order
        if let keys = query.keys {
            if !keys.isEmpty && (query.startKey != nil || query.endKey != nil) {
                throw .query("`keys` is incompatible with `key`, `start_key` and `end_key`")
            }
            let prefix = prefix
            ranges = (query.descending ? keys.reversed() : keys).map { key in
                let sortKey = prefix + CollationKey.bytes(for: key, order: order)
                return Range(
                    lower: RowPosition.before(sortKey: sortKey), upper: RowPosition.after(sortKey: sortKey))
            }
        } else {
            ranges = [try Self.range(query, order, prefix)]
        }
    }

    /// What the sort keys of a partition's rows begin with.
    static func partitionPrefix(_ partition: some StringProtocol) -> [UInt8] {
        var bytes: [UInt8] = []
        CollationKey.appendEscaped(partition.utf8, to: &bytes)
        return bytes
    }

    private static func grouping(_ query: ViewIndexQuery) throws(StoreError) -> ViewIndexQuery.Grouping {
        if let level = query.groupLevel, level > 0 {
            if query.group == false {
                throw .query("Can't specify group=false and group_level>0 at the same time")
            }
            return .level(level)
        }
        return query.group == true && query.groupLevel == nil ? .exact : .none
    }

    private static func range(
        _ query: ViewIndexQuery, _ order: CollationKey.Order, _ prefix: [UInt8]
    ) throws(StoreError) -> Range {
        let start = query.startKey.map { prefix + CollationKey.bytes(for: $0, order: order) }
        let end = query.endKey.map { prefix + CollationKey.bytes(for: $0, order: order) }
        if let start, let end {
            let isBackwards = query.descending ? start.precedes(end) : end.precedes(start)
            if isBackwards {
                throw .query(
                    "No rows can match your key range, reverse your start_key and end_key or set "
                        + "descending=\(!query.descending)")
            }
        }
        let startID = query.startKeyDocumentID
        let endID = query.endKeyDocumentID
        // The end is past its own rows when they belong to the answer, seen in reading order.
        let includesEnd = query.inclusiveEnd != query.descending
        let last = end.map {
            includesEnd ? RowPosition.after(sortKey: $0, id: endID) : RowPosition.before(sortKey: $0, id: endID)
        }
        // Without bounds: all rows of the partition, or simply all.
        let first = prefix.isEmpty ? nil : prefix
        let past = prefix.isEmpty ? nil : prefix + [0xFF]
        if query.descending {
            return Range(
                lower: last ?? first, upper: start.map { RowPosition.after(sortKey: $0, id: startID) } ?? past)
        }
        return Range(lower: start.map { RowPosition.before(sortKey: $0, id: startID) } ?? first, upper: last ?? past)
    }
}

extension [UInt8] {
    fileprivate func precedes(_ other: [UInt8]) -> Bool { lexicographicallyPrecedes(other) }
}
