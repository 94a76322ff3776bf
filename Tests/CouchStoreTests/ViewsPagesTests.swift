import CouchDocument
import CouchStore
import Testing

@Suite("Large answers of views")
struct ViewsPagesTests {
    static let design: DesignDocument = {
        var design = DesignDocument(map: "function (doc) { emit(doc.n, doc.n % 7); }")
        design.document["lists"] = [
            "all": """
            function (head, req) {
              start({code: 201, headers: {'X-Total': String(head.total_rows)}});
              send('<');
              var row;
              while ((row = getRow())) send(row.id + '=' + row.value + ',');
              return req.end;
            }
            """,
            "one": "function () { return getRow().id; }",
            "bad": "function () { getRow(); throw new Error('no more'); }",
        ]
        return design
    }()

    static let count = 3500
    static var documents: [String] { (0..<count).map { "{\"_id\":\"d\($0)\",\"n\":\($0)}" } }

    private func ids(_ first: ViewResult) async throws -> [Int] {
        var rows = first.rows
        while let more = try await first.rest?.next() { rows += more }
        return rows.compactMap { Int($0.id?.dropFirst() ?? "") }
    }

    @Test("so many may be under way at once; one more is refused until others are read or given up")
    func bound() async throws {
        try await ViewBench.run(Self.documents) { bench in
            var open: [ViewResult] = []
            var refusal: StoreError?
            while refusal == nil, open.count < 1000 {
                do {
                    open.append(try await bench.views.pages(design: Self.design, view: "v", ViewIndexQuery()))
                } catch let error as StoreError {
                    refusal = error
                }
            }
            #expect(refusal?.code.status == 503)
            #expect(open.count <= 256 && open.count > 200)
            // Short ones need no place.
            try await bench.expect(Self.design, gives: ["d7 7 0"]) { $0.key = 7 }
            open.removeLast()
            let last = try await bench.views.pages(design: Self.design, view: "v", ViewIndexQuery())
            #expect(try await ids(last).count == Self.count)
        }
    }

    @Test("a wrong query is told before the index is asked")
    func checked() async throws {
        try await ViewBench.run([]) { bench async throws in
            var query = ViewIndexQuery()
            query.group = true
            let wrong = query
            let error = #expect(throws: StoreError.self) {
                try bench.views.check(design: Self.design, view: "v", wrong)
            }
            #expect(error?.code.status == 400)
            let missing = #expect(throws: StoreError.self) {
                try bench.views.check(design: Self.design, view: "never", ViewIndexQuery())
            }
            #expect(missing?.reason == "missing_named_view")
            try bench.views.check(design: Self.design, view: "v", ViewIndexQuery())
        }
    }

    @Test("come page by page, in both directions, with limits and keys, and all pages are of one moment")
    func pages() async throws {
        try await ViewBench.run(Self.documents) { bench in
            let queries: [(wanted: [Int], change: (inout ViewIndexQuery) -> Void)] = [
                (Array(0..<Self.count), { _ in }),
                (Array((0..<Self.count).reversed()), { $0.descending = true }),
                (
                    Array(500..<2700),
                    {
                        $0.skip = 500
                        $0.limit = 2200
                    }
                ),
                (
                    Array((100...2990).reversed()),
                    {
                        $0.descending = true
                        $0.startKey = 3000
                        $0.endKey = 100
                        $0.skip = 10
                    }
                ),
                (
                    (0..<2000).map { $0 * 7 % 3500 },
                    { $0.keys = (0..<2000).map { .integer($0 * 7 % 3500) } }
                ),
            ]
            for (wanted, change) in queries {
                var query = ViewIndexQuery()
                change(&query)
                let first = try await bench.views.pages(design: Self.design, view: "v", query)
                #expect(first.rows.count < wanted.count && first.totalRows == Self.count)
                // Later changes are not of that moment.
                bench.log.delete("d\(Self.count - 1)")
                let other = try await bench.page(Self.design)
                #expect(other.rows.count == Self.count - 1)
                try bench.log.put("{\"_id\":\"d\(Self.count - 1)\",\"n\":\(Self.count - 1)}")
                let found = try await ids(first)
                #expect(found == wanted)
            }
        }
    }

    @Test(
        "of groups come page by page too, in both directions, and all pages are of one moment",
        arguments: ["_sum", "function (keys, values) { return sum(values); }"])
    func groups(reduce: String) async throws {
        let design = DesignDocument(map: "function (doc) { emit([doc.n >> 1, doc.n % 2], doc.n); }", reduce: reduce)
        try await ViewBench.run(Self.documents) { bench in
            let pairs = (0..<Self.count / 2).map { "[\($0)] \(4 * $0 + 1)" }
            let single = (0..<Self.count).map { "[\($0 >> 1),\($0 % 2)] \($0)" }
            let queries: [(wanted: [String], change: (inout ViewIndexQuery) -> Void)] = [
                (pairs, { $0.groupLevel = 1 }),
                (pairs.reversed(), { ($0.groupLevel, $0.descending) = (1, true) }),
                (single, { $0.group = true }),
                (Array(single[700..<2900]), { ($0.group, $0.skip, $0.limit) = (true, 700, 2200) }),
                (
                    (0..<1500).map { single[$0 * 11 % Self.count] },
                    { query in
                        query.group = true
                        query.keys = (0..<1500).map { number in
                            let n = number * 11 % Self.count
                            return [.integer(n >> 1), .integer(n % 2)]
                        }
                    }
                ),
            ]
            for (wanted, change) in queries {
                var query = ViewIndexQuery()
                change(&query)
                let first = try await bench.views.pages(design: design, view: "v", query)
                #expect(first.rows.count < wanted.count)
                // Later changes are not of that moment.
                bench.log.delete("d\(Self.count - 1)")
                _ = try await bench.page(design) { $0.reduce = false }
                try bench.log.put("{\"_id\":\"d\(Self.count - 1)\",\"n\":\(Self.count - 1)}")
                var rows = first.rows
                while let more = try await first.rest?.next() {
                    #expect(more.count <= 1000)
                    rows += more
                }
                let found = rows.map {
                    [$0.key, $0.value].map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
                }
                // Thousands of rows say nothing.
                let isSame = found == wanted
                #expect(isSame)
            }
        }
    }

    private func list(_ name: String, _ bench: ViewBench) async throws -> ListRun {
        let rows = try await bench.views.pages(design: Self.design, view: "v", ViewIndexQuery())
        return try bench.views.functions.list(
            name, of: Self.design, head: ["total_rows": .integer(Self.count)], request: ["end": "."], rows: rows)
    }

    @Test("a list function answers piece by piece while it reads its rows")
    func list() async throws {
        try await ViewBench.run(Self.documents) { bench in
            var text: [UInt8] = []
            var head: JSONObject?
            var parts = 0
            let run = try await list("all", bench)
            for try await event in run.events {
                switch event {
                case .head(let response): head = response
                case .part(let part):
                    #expect(head != nil)
                    text += part
                    parts += 1
                    run.partWasTaken()
                }
            }
            let wanted = "<" + (0..<Self.count).map { "d\($0)=\($0 % 7)," }.joined() + "."
            #expect(String(decoding: text, as: UTF8.self) == wanted)
            #expect(head == ["code": 201, "headers": ["X-Total": .string("\(Self.count)")]])
        }
    }

    @Test("a list function need not read all rows, and its failure is told")
    func otherLists() async throws {
        try await ViewBench.run(Self.documents) { bench in
            var text: [UInt8] = []
            for try await case .part(let part) in try await list("one", bench).events { text += part }
            #expect(text == Array("d0".utf8))
            let failing = try await list("bad", bench)
            let error = await #expect(throws: StoreError.self) { for try await _ in failing.events {} }
            #expect(error?.reason.contains("no more") == true)
        }
    }

    @Test("lists that nobody reads end, and make room for others")
    func forgotten() async throws {
        try await ViewBench.run(Self.documents) { bench in
            for _ in 0..<40 {
                // One that finds no room is told so; the ones before it go with their runs.
                do { _ = try await list("all", bench) } catch let error as StoreError {
                    #expect(error.code.status == 503)
                }
            }
            var isDone = false
            while !isDone {
                do {
                    for try await _ in try await list("one", bench).events {}
                    isDone = true
                } catch let error as StoreError {
                    #expect(error.code.status == 503)
                    await Task.yield()
                }
            }
        }
    }
}
