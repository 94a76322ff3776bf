import CouchDocument
import Testing

@testable import CouchStore

/// Random documents, edits and ranges, each time the same ones: what an index answers is what a model answers.
@Suite("Random views")
struct ViewsRandomTests {
    /// Documents as a dictionary, and the rows that the view must have.
    private struct Model {
        var tags: [String: [JSON]] = [:]

        /// `id key value` of all rows, in the order of keys, ids and values.
        var rows: [(id: String, key: JSON, value: Int)] {
            var rows: [(order: [UInt8], row: (id: String, key: JSON, value: Int))] = []
            for (id, keys) in tags {
                for (value, key) in keys.enumerated() {
                    var order = CollationKey.bytes(for: key)
                    order += Array(id.utf8)
                    order += [0, UInt8(value)]
                    rows.append((order, (id, key, value)))
                }
            }
            rows.sort { $0.order.lexicographicallyPrecedes($1.order) }
            return rows.map(\.row)
        }

        var texts: [String] { rows.map { "\($0.id) \($0.key) \($0.value)" } }
    }

    private static let tagged = DesignDocument(
        map: "function (doc) { doc.tags.forEach(function (tag, index) { emit(tag, index); }); }", reduce: "_sum")

    private func randomKey(_ random: inout SeededGenerator, depth: Int = 0) -> JSON {
        switch Int.random(in: 0..<(depth < 3 ? 9 : 7), using: &random) {
        case 0: [nil, false, true].randomElement(using: &random)!
        case 1...3: .integer(Int.random(in: -5...5, using: &random))
        case 4...6: .string(["", "a", "A", "aa", "á", "b", "ß", "日", "_", "10", "2"].randomElement(using: &random)!)
        case 7:
            .array((0..<Int.random(in: 0...3, using: &random)).map { _ in randomKey(&random, depth: depth + 1) })
        default:
            .object(
                JSONObject(
                    ["a", "b", "B"].prefix(Int.random(in: 0...3, using: &random))
                        .map { ($0, randomKey(&random, depth: depth + 1)) }))
        }
    }

    @Test("after random writes and deletions a view has the rows of a model", arguments: [11, 12, 13])
    func model(seed: UInt64) async throws {
        var random = SeededGenerator(state: seed)
        var model = Model()
        try await ViewBench.run { bench in
            for round in 0..<15 {
                for _ in 0..<Int.random(in: 1...(round % 4 == 0 ? 700 : 30), using: &random) {
                    let id = "d\(Int.random(in: 0..<400, using: &random))"
                    if Int.random(in: 0..<4, using: &random) == 0 {
                        bench.log.delete(id)
                        model.tags[id] = nil
                    } else {
                        let tags = (0..<Int.random(in: 0...3, using: &random)).map { _ in randomKey(&random) }
                        let document: JSON = ["_id": .string(id), "tags": .array(tags)]
                        try bench.log.put(document.description)
                        model.tags[id] = tags
                    }
                }
                let wanted = model.texts
                try await bench.expect(Self.tagged, gives: wanted) { $0.reduce = false }
            }
        }
    }

    @Test("reductions of random ranges are those of their rows one by one", arguments: [21, 22])
    func ranges(seed: UInt64) async throws {
        var random = SeededGenerator(state: seed)
        let documents = (0..<4000).map { number in
            "{\"_id\":\"d\(number)\",\"a\":\(Int.random(in: 0..<9, using: &random)),"
                + "\"b\":\(Int.random(in: 0..<30, using: &random)),\"n\":\(Int.random(in: -99...99, using: &random))}"
        }
        let map = "function (doc) { emit([doc.a, doc.b], doc.n); }"
        var design = DesignDocument(name: "d")
        for (name, reduce) in [
            ("sum", "_sum"), ("count", "_count"), ("stats", "_stats"), ("first", "_first"), ("last", "_last"),
            ("top", "_top_4"), ("bottom", "_bottom_3"), ("script", "function (k, v, r) { return sum(v); }"),
        ] {
            design.views[name] = .init(map: map, reduce: reduce)
        }
        try await ViewBench.run(documents) { bench in
            for _ in 0..<12 {
                let ends = (0..<2).map { _ in
                    (Int.random(in: 0..<9, using: &random), Int.random(in: 0..<30, using: &random))
                }.sorted { $0 < $1 }
                let range: @Sendable (inout ViewIndexQuery) -> Void = { query in
                    query.startKey = [.integer(ends[0].0), .integer(ends[0].1)]
                    query.endKey = [.integer(ends[1].0), .integer(ends[1].1)]
                }
                let rows = try await bench.page(design, "sum") { query in
                    range(&query)
                    query.reduce = false
                }.rows
                let values = rows.compactMap { Int(String(decoding: $0.value, as: UTF8.self)) }
                for (name, wanted) in Self.folds(values) {
                    try await bench.expect(design, name, gives: values.isEmpty ? [] : ["null \(wanted)"], range)
                }
                let groups = Dictionary(grouping: rows) { String(decoding: $0.key, as: UTF8.self).prefix(2) }
                let wanted = groups.map { key, rows in
                    "\(key)] \(rows.reduce(0) { $0 + (Int(String(decoding: $1.value, as: UTF8.self)) ?? 0) })"
                }.sorted()
                for name in ["sum", "script"] {
                    try await bench.expect(design, name, gives: wanted) { query in
                        range(&query)
                        query.groupLevel = 1
                    }
                }
            }
        }
    }

    private static func folds(_ values: [Int]) -> [(String, String)] {
        let sum = values.reduce(0, +)
        let distinct = Set(values).sorted()
        func list(_ values: some Sequence<Int>) -> String { JSON.array(values.map(JSON.integer)).description }
        return [
            ("sum", "\(sum)"), ("count", "\(values.count)"), ("script", "\(sum)"),
            (
                "stats",
                "{\"sum\":\(sum),\"count\":\(values.count),\"min\":\(values.min() ?? 0),\"max\":\(values.max() ?? 0),"
                    + "\"sumsqr\":\(values.reduce(0) { $0 + $1 * $1 })}"
            ),
            ("first", "\(values.first ?? 0)"), ("last", "\(values.last ?? 0)"),
            ("top", list(distinct.reversed().prefix(4))), ("bottom", list(distinct.prefix(3))),
        ]
    }

    @Test("the keys of any two values have the order of the values")
    func collation() throws {
        let recorded = try #require(try JSON(parsing: ViewsCollationTests.recorded).arrayValue)
        let texts = recorded.compactMap(\.stringValue)
        var random = SeededGenerator(state: 31)
        func value(_ depth: Int) -> JSON {
            switch Int.random(in: 0..<(depth < 3 ? 8 : 6), using: &random) {
            case 0...2:
                recorded.filter { $0.stringValue == nil && $0.kind != "array" && $0.kind != "object" }
                    .randomElement(using: &random)!
            case 3...5: .string(texts.randomElement(using: &random)!)
            case 6: .array((0..<Int.random(in: 0...3, using: &random)).map { _ in value(depth + 1) })
            default:
                .object(
                    JSONObject(
                        Set(
                            (0..<Int.random(in: 0...2, using: &random)).map { _ in texts.randomElement(using: &random)!
                            }
                        )
                        .sorted().map { ($0, value(depth + 1)) }))
            }
        }
        for _ in 0..<5000 {
            let (left, right) = (value(0), value(0))
            let (first, second) = (CollationKey.bytes(for: left), CollationKey.bytes(for: right))
            let order = Self.order(left, right, texts)
            #expect(first.lexicographicallyPrecedes(second) == (order < 0), "\(left) \(right)")
            #expect((first == second) == (order == 0), "\(left) \(right)")
        }
    }

    /// CouchDB's order, told by the recorded order of texts.
    private static func order(_ left: JSON, _ right: JSON, _ texts: [String]) -> Int {
        func rank(_ value: JSON) -> Int {
            switch value {
            case .null: 0
            case .bool(let flag): flag ? 2 : 1
            case .integer, .decimal: 3
            case .string: 4
            case .array: 5
            case .object: 6
            }
        }
        func compare<Number: Comparable>(_ left: Number, _ right: Number) -> Int {
            left < right ? -1 : left > right ? 1 : 0
        }
        func text(_ value: String) -> Int { texts.firstIndex(of: value) ?? -1 }
        if rank(left) != rank(right) { return compare(rank(left), rank(right)) }
        switch (left, right) {
        case (.string(let first), .string(let second)): return compare(text(first), text(second))
        case (.array(let first), .array(let second)):
            for (one, other) in zip(first, second) where order(one, other, texts) != 0 {
                return order(one, other, texts)
            }
            return compare(first.count, second.count)
        case (.object(let first), .object(let second)):
            for (one, other) in zip(first, second) {
                if one.name != other.name { return compare(text(one.name), text(other.name)) }
                let result = order(one.value, other.value, texts)
                if result != 0 { return result }
            }
            return compare(first.count, second.count)
        default: return compare(left.numberValue ?? 0, right.numberValue ?? 0)
        }
    }
}
