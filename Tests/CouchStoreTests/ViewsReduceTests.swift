import CouchDocument
import CouchStore
import Testing

@Suite("Reduced views")
struct ViewsReduceTests {
    /// The documents of recording views_reduce.
    static let six = [
        (2023, 1, 5), (2023, 1, 7), (2023, 2, 1), (2024, 1, 2), (2024, 3, 4), (2024, 3, 6),
    ].enumerated().map {
        "{\"_id\":\"s\($0.offset)\",\"y\":\($0.element.0),\"m\":\($0.element.1),\"n\":\($0.element.2)}"
    }

    static func design(_ reduce: String) -> DesignDocument {
        DesignDocument(map: "function(doc){emit([doc.y, doc.m], doc.n)}", reduce: reduce)
    }

    @Test("sums, counts and statistics are those that CouchDB recorded")
    func builtins() async throws {
        try await ViewBench.run(Self.six) { bench in
            let sum = Self.design("_sum")
            try await bench.expect(sum, gives: ["null 25"])
            try await bench.expect(sum, gives: ["[2023,1] 12", "[2023,2] 1", "[2024,1] 2", "[2024,3] 10"]) {
                $0.group = true
            }
            try await bench.expect(sum, gives: ["[2023] 13", "[2024] 12"]) { $0.groupLevel = 1 }
            try await bench.expect(sum, gives: ["[2023,1] 12", "[2023,2] 1", "[2024,1] 2", "[2024,3] 10"]) {
                $0.groupLevel = 9
            }
            try await bench.expect(sum, gives: ["null 25"]) { $0.groupLevel = 0 }
            try await bench.expect(sum, gives: ["null 25"]) { $0.group = false }
            try await bench.expect(sum, gives: []) { $0.startKey = [2030] }
            try await bench.expect(sum, gives: []) { $0.limit = 0 }
            try await bench.expect(sum, gives: []) { $0.skip = 1 }
            try await bench.expect(sum, gives: ["null 12"]) { $0.key = [2023, 1] }
            try await bench.expect(sum, gives: ["null 12"]) { $0.keys = [[2023, 1]] }
            try await bench.expect(sum, gives: ["[2023,2] 1"]) {
                $0.group = true
                $0.limit = 1
                $0.skip = 1
            }
            try await bench.expect(sum, gives: ["[2024,3] 10", "[2024,1] 2", "[2023,2] 1", "[2023,1] 12"]) {
                $0.group = true
                $0.descending = true
            }
            try await bench.expect(sum, gives: ["[2024,3] 10", "[2023,2] 1"]) {
                $0.group = true
                $0.keys = [[2024, 3], [2023, 2], [1999]]
            }
            try await bench.expect(Self.design("_count"), gives: ["[2023] 3", "[2024] 3"]) { $0.groupLevel = 1 }
            try await bench.expect(
                Self.design("_stats"), gives: ["null {\"sum\":25,\"count\":6,\"min\":1,\"max\":7,\"sumsqr\":131}"])
            try await bench.expect(Self.design("_approx_count_distinct"), gives: ["null 4"])
        }
    }

    @Test("group levels leave keys that are no arrays, or shorter, as they are")
    func mixedKeys() async throws {
        let keys = [
            "[\"a\",1,\"x\"]", "[\"a\",1,\"y\"]", "[\"a\",2]", "[\"b\"]", "\"plain\"", "5", "[\"a\",1,\"x\"]",
            "{\"o\":1}", "null",
        ]
        let documents = keys.enumerated().map { "{\"_id\":\"d\($0.offset)\",\"k\":\($0.element)}" }
        let design = DesignDocument(map: "function(doc){emit(doc.k, 1)}", reduce: "_count")
        try await ViewBench.run(documents) { bench in
            try await bench.expect(
                design, gives: ["null 1", "5 1", "\"plain\" 1", "[\"a\"] 4", "[\"b\"] 1", "{\"o\":1} 1"]
            ) { $0.groupLevel = 1 }
            try await bench.expect(
                design,
                gives: ["null 1", "5 1", "\"plain\" 1", "[\"a\",1] 3", "[\"a\",2] 1", "[\"b\"] 1", "{\"o\":1} 1"]
            ) { $0.groupLevel = 2 }
        }
    }

    @Test(
        "sums of lists, objects and mixtures are CouchDB's",
        arguments: [
            ("doc.l", "[3,30,3]"), ("doc.o", "{\"a\":3,\"b\":{\"c\":3}}"), ("doc.u", "[3,2,1]"),
            ("doc._id === 'd0' ? 1 : doc.l", "[4,30,2]"), ("doc.l[0] / 2", "1.5"),
        ])
    func sums(_ value: String, _ total: String) async throws {
        let documents = (0..<3).map {
            "{\"_id\":\"d\($0)\",\"l\":[\($0),\($0 * 10),1],\"o\":{\"a\":\($0),\"b\":{\"c\":1}},\"u\":[\(Array(repeating: "1", count: $0 + 1).joined(separator: ","))]}"
        }
        try await ViewBench.run(documents) { bench in
            let design = DesignDocument(map: "function(doc){emit(null, \(value))}", reduce: "_sum")
            try await bench.expect(design, gives: ["null \(total)"])
        }
    }

    @Test("statistics take lists and figures that were counted before")
    func statistics() async throws {
        try await ViewBench.run(["{\"_id\":\"a\"}", "{\"_id\":\"b\"}"]) { bench in
            let figures = DesignDocument(
                map: "function(doc){emit(null, {sum: 2, count: 2, min: 0, max: 2, sumsqr: 4})}", reduce: "_stats")
            try await bench.expect(figures, gives: ["null {\"sum\":4,\"count\":4,\"min\":0,\"max\":2,\"sumsqr\":8}"])
            let lists = DesignDocument(map: "function(doc){emit(null, [1, 2])}", reduce: "_stats")
            try await bench.expect(
                lists,
                gives: [
                    "null [{\"sum\":2,\"count\":2,\"min\":1,\"max\":1,\"sumsqr\":2},"
                        + "{\"sum\":4,\"count\":2,\"min\":2,\"max\":2,\"sumsqr\":8}]"
                ])
        }
    }

    @Test("values that a built-in can not take become an error in the row of a sum, and refuse statistics")
    func badValues() async throws {
        let documents = ["{\"_id\":\"a\",\"v\":\"text\"}", "{\"_id\":\"b\",\"v\":null}", "{\"_id\":\"c\",\"v\":3}"]
        try await ViewBench.run(documents) { bench in
            let sum = DesignDocument(map: "function(doc){emit(doc._id, doc.v)}", reduce: "_sum")
            let row = try #require(try await bench.rows(sum).first)
            #expect(row.hasPrefix("null {\"error\":\"builtin_reduce_error\",\"reason\":\"The _sum function requires"))
            try await bench.expect(sum, gives: ["null 3"]) { $0.key = "c" }
            let stats = DesignDocument(map: "function(doc){emit(doc._id, doc.v)}", reduce: "_stats")
            let error = await #expect(throws: StoreError.self) { try await bench.rows(stats) }
            #expect(error?.code.status == 500)
            let rows = try await bench.rows(stats) { $0.reduce = false }
            #expect(rows.count == 3)
        }
    }

    @Test("JavaScript reduces see keys with ids first and reductions after")
    func javaScript() async throws {
        try await ViewBench.run(Self.six) { bench in
            let sum = Self.design("function(keys, values, rereduce) { return sum(values); }")
            try await bench.expect(sum, gives: ["null 25"])
            try await bench.expect(sum, gives: ["[2023] 13", "[2024] 12"]) { $0.groupLevel = 1 }
            let ids = Self.design("function(keys, values, rereduce) { return rereduce ? ['again', values] : keys; }")
            try await bench.expect(ids, gives: ["null [\"again\",[[[[2023,1],\"s0\"],[[2023,1],\"s1\"]]]]"]) {
                $0.key = [2023, 1]
            }
            let failing = Self.design("function(keys, values) { throw new Error('no'); }")
            try await bench.expect(failing, gives: ["null null"])
        }
    }

    @Test("a JavaScript reduce over thousands of rows equals the built-in one")
    func manyRows() async throws {
        let documents = (0..<3000).map { "{\"_id\":\"d\($0)\",\"y\":\($0 % 7),\"m\":\($0 % 3),\"n\":\($0)}" }
        try await ViewBench.run(documents) { bench in
            var design = DesignDocument(name: "d")
            let map = "function(doc){emit([doc.y, doc.m], doc.n)}"
            design.views = [
                "builtin": .init(map: map, reduce: "_sum"), "script": .init(map: map, reduce: "(k, v) => sum(v)"),
                "count": .init(map: map, reduce: "_count"),
                "distinct": .init(map: map, reduce: "_approx_count_distinct"),
            ]
            for level in 0...2 {
                let wanted = try await bench.rows(design, "builtin") { $0.groupLevel = level }
                try await bench.expect(design, "script", gives: wanted) { $0.groupLevel = level }
            }
            try await bench.expect(design, "builtin", gives: ["null \(2999 * 3000 / 2)"])
            try await bench.expect(design, "count", gives: ["null \(429 * 3)"]) { $0.endKey = [3] }
            try await bench.expect(design, "distinct", gives: ["null 21"])
        }
    }

    @Test("a reduce that does not shrink says so in its row, and one that never ends is stopped")
    func badReduces() async throws {
        let documents = (0..<200).map { "{\"_id\":\"d\($0)\",\"text\":\"\(String(repeating: "x", count: 60))\"}" }
        try await ViewBench.run(documents, seconds: 0.2) { bench in
            let growing = DesignDocument(
                map: "function(doc){emit(1, doc.text)}",
                reduce: "function(k, v, r) { return r ? [].concat.apply([], v) : v; }")
            let row = try #require(try await bench.rows(growing).first)
            #expect(row.contains("reduce_overflow_error") && row.contains("Reduce output must shrink more rapidly"))
            let endless = DesignDocument(
                map: "function(doc){emit(1, 1)}", reduce: "function(k, v, r) { while (true) {} }")
            let error = await #expect(throws: StoreError.self) { try await bench.rows(endless) }
            #expect(error?.code.status == 500)
        }
    }

    @Test("options that a reduced view can not have are refused in CouchDB's words")
    func refused() async throws {
        try await ViewBench.run(Self.six) { bench in
            let sum = Self.design("_sum")
            let refused: [(String, @Sendable (inout ViewIndexQuery) -> Void)] = [
                ("`include_docs` is invalid for reduce", { $0.includesDocuments = true }),
                ("`conflicts` is invalid for reduce views.", { $0.includesConflicts = true }),
                ("Multi-key fetches for reduce views must use `group=true`", { $0.keys = [[1], [2]] }),
                (
                    "Invalid use of grouping on a map view.",
                    {
                        $0.reduce = false
                        $0.group = true
                    }
                ),
            ]
            for (reason, change) in refused {
                let error = await #expect(throws: StoreError.self) { try await bench.rows(sum, "v", change) }
                #expect(error?.reason == reason)
            }
        }
    }
}
