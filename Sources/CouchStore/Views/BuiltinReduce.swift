import CouchDocument

/// CouchDB's reduces that need no JavaScript, as couch_query_servers of CouchDB 3.5 does them.
///
/// Rows are reduced to a *kept* form, kept forms merge to a kept form, and a kept form becomes the row's value.
enum BuiltinReduce: Hashable, Sendable {
    case sum, count, stats, approximateCountDistinct, first, last
    case top(Int), bottom(Int)

    /// `nil`: a name that is no built-in.
    init?(_ name: String) {
        func number(after prefix: String) -> Int? {
            guard name.hasPrefix(prefix), let number = Int(name.dropFirst(prefix.count)) else { return nil }
            return (1...100).contains(number) ? number : nil
        }
        switch name {
        case "_sum": self = .sum
        case "_count": self = .count
        case "_stats": self = .stats
        case "_approx_count_distinct": self = .approximateCountDistinct
        case "_first": self = .first
        case "_last": self = .last
        default:
            if let number = number(after: "_top_") {
                self = .top(number)
            } else if let number = number(after: "_bottom_") {
                self = .bottom(number)
            } else {
                return nil
            }
        }
    }

    /// The kept form of rows.
    func reduce(_ node: TreeNode, _ rows: Range<Int>) -> [UInt8] {
        switch self {
        case .count: return Array(String(rows.count).utf8)
        case .sum:
            var total = SumReduce()
            for row in node.rows[rows] { total.add(node.bytes[row.value]) }
            return total.encoded()
        case .stats:
            var total = StatsReduce()
            for row in node.rows[rows] { total.add(node.bytes[row.value]) }
            return total.encoded()
        case .approximateCountDistinct:
            var sketch = DistinctSketch()
            for row in node.rows[rows] {
                sketch.insert(node.bytes[row.position.lowerBound..<row.position.lowerBound + row.sortLength])
            }
            return sketch.encoded()
        case .first: return node.rows[rows].first.map { Array(node.bytes[$0.value]) } ?? []
        case .last: return node.rows[rows].last.map { Array(node.bytes[$0.value]) } ?? []
        case .top(let limit): return rank(RankReduce(top: limit), node, rows)
        case .bottom(let limit): return rank(RankReduce(bottom: limit), node, rows)
        }
    }

    private func rank(_ rank: RankReduce, _ node: TreeNode, _ rows: Range<Int>) -> [UInt8] {
        var rank = rank
        for row in node.rows[rows] { rank.add(node.bytes[row.value]) }
        return rank.encoded()
    }

    /// The kept form of several kept forms, from left to right.
    func merge(_ kept: some Sequence<ArraySlice<UInt8>>) -> [UInt8] {
        switch self {
        case .count:
            var total = 0
            for text in kept { total += Int(String(decoding: text, as: UTF8.self)) ?? 0 }
            return Array(String(total).utf8)
        case .sum:
            var total = SumReduce()
            for text in kept { total.add(text) }
            return total.encoded()
        case .stats:
            var total = StatsReduce()
            for text in kept { total.add(text) }
            return total.encoded()
        case .approximateCountDistinct:
            var sketch = DistinctSketch()
            for bytes in kept { sketch.merge(bytes) }
            return sketch.encoded()
        case .first:
            for value in kept { return Array(value) }
            return []
        case .last:
            var last: ArraySlice<UInt8> = []
            for value in kept { last = value }
            return Array(last)
        case .top(let limit): return merge(RankReduce(top: limit), kept)
        case .bottom(let limit): return merge(RankReduce(bottom: limit), kept)
        }
    }

    private func merge(_ rank: RankReduce, _ kept: some Sequence<ArraySlice<UInt8>>) -> [UInt8] {
        var rank = rank
        for values in kept { rank.merge(values) }
        return rank.encoded()
    }

    /// The row's value of a kept form, as JSON text.
    ///
    /// - Throws: 500 when `_stats` met a value that it can not take, as CouchDB answers.
    func value(of kept: [UInt8]) throws(StoreError) -> [UInt8] {
        switch self {
        case .count, .sum, .first, .last, .top, .bottom: return kept
        case .stats:
            if let reason = StatsReduce.failure(in: kept) { throw .failure("invalid_value", reason) }
            return kept
        case .approximateCountDistinct: return Array(String(DistinctSketch(kept[...]).estimate).utf8)
        }
    }
}

/// Erlang's arithmetic: integers stay integers, one float makes a float.
enum ReduceNumber {
    case integer(Int)
    case float(Double)

    init?(_ json: JSON) {
        switch json {
        case .integer(let value): self = .integer(value)
        case .decimal(let value): self = .float(value.doubleValue)
        default: return nil
        }
    }

    var double: Double {
        switch self {
        case .integer(let value): Double(value)
        case .float(let value): value
        }
    }

    var json: JSON {
        switch self {
        case .integer(let value): .integer(value)
        // Beyond a double's range Erlang fails; null is what JavaScript would write.
        case .float(let value): JSON.double(value) ?? .null
        }
    }

    static func + (left: Self, right: Self) -> Self {
        if case .integer(let first) = left, case .integer(let second) = right {
            let (total, overflow) = first.addingReportingOverflow(second)
            if !overflow { return .integer(total) }
        }
        return .float(left.double + right.double)
    }

    var squared: Self {
        if case .integer(let value) = self {
            let (square, overflow) = value.multipliedReportingOverflow(by: value)
            if !overflow { return .integer(square) }
        }
        return .float(double * double)
    }

    static func smaller(_ left: Self, _ right: Self) -> Self { right.double < left.double ? right : left }
    static func greater(_ left: Self, _ right: Self) -> Self { right.double > left.double ? right : left }
}

/// A small integer as JSON text, the commonest value by far, without a parser.
func integer(inJSON text: ArraySlice<UInt8>) -> Int? {
    guard text.count <= 18, let first = text.first else { return nil }
    let isNegative = first == UInt8(ascii: "-")
    var value = 0
    for byte in isNegative ? text.dropFirst() : text {
        guard (0x30...0x39).contains(byte) else { return nil }
        value = value * 10 + Int(byte - 0x30)
    }
    return isNegative ? -value : value
}
