/// `_top_N` and `_bottom_N`: the N highest or lowest values, equal ones once, in the order of view keys.
struct RankReduce {
    private let limit: Int
    private let isTop: Bool
    private var values: [(sortKey: [UInt8], json: ArraySlice<UInt8>)] = []

    init(top limit: Int) {
        self.limit = limit
        isTop = true
    }

    init(bottom limit: Int) {
        self.limit = limit
        isTop = false
    }

    /// Adds a row's value.
    mutating func add(_ json: ArraySlice<UInt8>) {
        var sortKey: [UInt8] = []
        json.withUnsafeBufferPointer { CollationKey.append($0, order: .unicode, to: &sortKey) }
        var low = 0
        var high = values.count
        while low < high {
            let middle = (low + high) / 2
            let other = values[middle].sortKey
            // Of equal values the first one stays (lists:umerge in couch_query_servers of 3.5).
            if other == sortKey { return }
            if other.lexicographicallyPrecedes(sortKey) != isTop { low = middle + 1 } else { high = middle }
        }
        guard low < limit else { return }
        values.insert((sortKey, json), at: low)
        if values.count > limit { values.removeLast() }
    }

    /// Adds what ``encoded()`` gave.
    mutating func merge(_ kept: ArraySlice<UInt8>) {
        for range in JSONCursor.elements(of: kept) { add(kept[range]) }
    }

    /// The values as a JSON array.
    func encoded() -> [UInt8] {
        var text: [UInt8] = [UInt8(ascii: "[")]
        for (index, value) in values.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            text.append(contentsOf: value.json)
        }
        text.append(UInt8(ascii: "]"))
        return text
    }
}
