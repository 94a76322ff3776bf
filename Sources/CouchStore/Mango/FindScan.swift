import CouchDocument

/// Which rows of the chosen index a query has to look at, from the first to the last in reading order.
struct FindScan: Sendable {
    let choice: IndexChoice
    let isDescending: Bool
    let partition: String?
    /// Whether the index' rows hold all that the query asks for, so that no document has to be read.
    let isCovered: Bool

    init(_ query: FindQuery, _ choice: IndexChoice) {
        self.choice = choice
        isDescending = query.sort.isDescending
        partition = query.partition
        guard let fields = query.fields, choice.index.design != nil else {
            isCovered = false
            return
        }
        let needed = Set(fields.paths + query.selector.fields)
        isCovered =
            query.copies == 1 && needed.subtracting(choice.index.columns + [FieldPath(names: ["_id"])]).isEmpty
    }

    // MARK: Rows of a JSON index

    /// The values of the first columns at which rows begin, in ascending order.
    private var lowest: [JSON] { choice.ranges.prefix { $0.lower != nil }.compactMap { $0.lower?.comparand.value } }
    private var highest: [JSON] { choice.ranges.prefix { $0.upper != nil }.compactMap { $0.upper?.comparand.value } }

    /// The next rows after a bookmark.
    func plan(after bookmark: FindBookmark?, limit: Int) -> ViewQueryPlan {
        let prefix = partition.map { ViewQueryPlan.partitionPrefix($0) } ?? []
        var lower = prefix + CollationKey.prefix(ofArray: lowest)
        // Past every row that begins with these values.
        var upper = prefix + CollationKey.prefix(ofArray: highest) + [0xFF]
        if let bookmark {
            let sortKey = prefix + CollationKey.bytes(for: bookmark.key)
            if isDescending {
                let end = RowPosition.before(sortKey: sortKey, id: bookmark.id)
                if end.lexicographicallyPrecedes(upper) { upper = end }
            } else {
                let start = RowPosition.after(sortKey: sortKey, id: bookmark.id)
                if lower.lexicographicallyPrecedes(start) { lower = start }
            }
        }
        return ViewQueryPlan(
            range: .init(lower: lower, upper: upper), descending: isDescending, limit: limit, prefix: prefix)
    }

    // MARK: Ids

    /// The next documents after a bookmark; `nil` when there can be none.
    func documents(after bookmark: FindBookmark?, limit: Int) -> AllDocumentsQuery? {
        var first = choice.ranges.first?.lower?.comparand.value
        var last = choice.ranges.first?.upper?.comparand.value
        // Ids are texts: what comes before all texts is no bound below and leaves nothing as a bound above.
        if let value = first, value.stringValue == nil {
            if ["array", "object"].contains(value.kind) { return nil }
            first = nil
        }
        if let value = last, value.stringValue == nil {
            if !["array", "object"].contains(value.kind) { return nil }
            last = nil
        }
        var low = first?.stringValue
        var high = last?.stringValue
        var includesHigh = true
        if let partition {
            let ids = Partition.ids(of: partition)
            if low.map({ $0.utf8.lexicographicallyPrecedes(ids.start.utf8) }) ?? true { low = ids.start }
            if high.map({ !$0.utf8.lexicographicallyPrecedes(ids.end.utf8) }) ?? true {
                high = ids.end
                includesHigh = false
            }
        }
        var query = AllDocumentsQuery(limit: limit)
        query.includesBodies = true
        query.isDescending = isDescending
        query.startKey = isDescending ? high : low
        query.endKey = isDescending ? low : high
        if isDescending {
            query.startIsExclusive = !includesHigh
        } else {
            query.inclusiveEnd = includesHigh
        }
        if let bookmark {
            query.startKey = bookmark.id
            query.startIsExclusive = true
        }
        return query
    }

    // MARK: Explanation

    /// The bounds as `_explain` shows them, in reading order.
    var shownKeys: (start: JSON, end: JSON) {
        let low: JSON
        let high: JSON
        if choice.isEmpty {
            return (.null, .null)
        } else if choice.index.design == nil {
            let range = choice.ranges.first
            low = range?.lower?.comparand.value ?? (range == nil ? .null : "")
            high = range?.upper?.comparand.value ?? "<MAX>"
        } else {
            low = .array(lowest)
            high = .array(highest + ["<MAX>"])
        }
        return isDescending ? (high, low) : (low, high)
    }
}
