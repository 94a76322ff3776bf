import CouchDocument
import CouchStore
import Testing

@Suite("Map views")
struct ViewsMapTests {
    static let five = (0..<5).map { "{\"_id\":\"\("abcde".map(String.init)[$0])\",\"n\":\($0)}" }
    static let n = DesignDocument(map: "function(doc){emit(doc.n, doc._id)}")

    @Test("rows come in the order of their keys, with total and offset")
    func order() async throws {
        try await ViewBench.run(Self.five.reversed()) { bench in
            try await bench.expect(Self.n, gives: ["a 0 \"a\"", "b 1 \"b\"", "c 2 \"c\"", "d 3 \"d\"", "e 4 \"e\""])
            let page = try await bench.page(Self.n) {
                $0.startKey = 1
                $0.endKey = 3
            }
            #expect(page.totalRows == 5 && page.offset == 1 && page.rows.map(\.id) == ["b", "c", "d"])
        }
    }

    struct Case: Sendable, CustomStringConvertible {
        let description: String
        let ids: String
        let offset: Int
        let change: @Sendable (inout ViewIndexQuery) -> Void
    }

    /// Recording views_map, "rows of a view", and views_keys.
    static let recorded = [
        Case(description: "descending", ids: "edcba", offset: 0) { $0.descending = true },
        Case(description: "skip and limit", ids: "cd", offset: 2) {
            $0.skip = 2
            $0.limit = 2
        },
        Case(description: "a range backwards", ids: "dcb", offset: 1) {
            $0.startKey = 3
            $0.endKey = 1
            $0.descending = true
        },
        Case(description: "a key", ids: "c", offset: 2) { $0.key = 2 },
        Case(description: "a key that is not there", ids: "", offset: 5) { $0.key = 99 },
        Case(description: "an exclusive end", ids: "bc", offset: 1) {
            $0.startKey = 1
            $0.endKey = 3
            $0.inclusiveEnd = false
        },
        Case(description: "limit 0", ids: "", offset: 0) { $0.limit = 0 },
        Case(description: "skip beyond the end", ids: "", offset: 5) { $0.skip = 9 },
        Case(description: "descending with skip", ids: "d", offset: 1) {
            $0.descending = true
            $0.skip = 1
            $0.limit = 1
        },
        Case(description: "descending from a key", ids: "cba", offset: 2) {
            $0.descending = true
            $0.startKey = 2
        },
        Case(description: "keys, in order and repeated", ids: "dbb", offset: 3) { $0.keys = [3, 1, 99, 1] },
        Case(description: "keys backwards", ids: "cb", offset: 2) {
            $0.keys = [1, 2]
            $0.descending = true
        },
        Case(description: "keys with skip", ids: "cd", offset: 2) {
            $0.keys = [1, 2, 3]
            $0.skip = 1
        },
        Case(description: "keys with limit", ids: "b", offset: 1) {
            $0.keys = [1, 2]
            $0.limit = 1
        },
        Case(description: "no keys", ids: "", offset: 0) { $0.keys = [] },
        Case(description: "keys that are not there", ids: "", offset: 5) { $0.keys = [nil, "x", [1], [:]] },
        Case(description: "one key of keys", ids: "e", offset: 4) { $0.keys = [4] },
    ]

    @Test("options give the rows and offset that CouchDB recorded", arguments: recorded)
    func options(_ wanted: Case) async throws {
        try await ViewBench.run(Self.five) { bench in
            let page = try await bench.page(Self.n, "v", wanted.change)
            #expect(page.rows.compactMap(\.id).joined() == wanted.ids)
            #expect(page.offset == wanted.offset)
            #expect(page.totalRows == 5)
        }
    }

    @Test("rows of equal key and document come by value, in both directions, and document ids bound ranges")
    func equalKeys() async throws {
        let design = DesignDocument(map: "function(doc){emit('k', 3); emit('k', 1); emit('k', 2);}")
        try await ViewBench.run(["{\"_id\":\"c\"}", "{\"_id\":\"a\"}", "{\"_id\":\"b\"}"]) { bench in
            func expect(_ wanted: String, _ change: (inout ViewIndexQuery) -> Void) async throws {
                let rows = try await bench.page(design, "v", change).rows
                let texts = rows.map { ($0.id ?? "") + String(decoding: $0.value, as: UTF8.self) }
                #expect(texts.joined(separator: " ") == wanted)
            }
            try await expect("a1 a2 a3 b1 b2 b3 c1 c2 c3") { _ in }
            try await expect("c1 c2 c3 b1 b2 b3 a1 a2 a3") { $0.descending = true }
            try await expect("c2 c3 b1") {
                $0.descending = true
                $0.skip = 1
                $0.limit = 3
            }
            try await expect("b1 b2 b3 c1 c2 c3") {
                $0.startKey = "k"
                $0.startKeyDocumentID = "b"
            }
            try await expect("a1 a2 a3") {
                $0.key = "k"
                $0.endKeyDocumentID = "b"
                $0.inclusiveEnd = false
            }
            try await expect("b1 b2 b3 a1 a2 a3") {
                $0.descending = true
                $0.startKey = "k"
                $0.startKeyDocumentID = "b"
            }
            try await expect("a1 a2 a3 b1 b2 b3 c1 c2 c3") { $0.startKeyDocumentID = "b" }
        }
    }

    @Test(
        "what a function emits arrives as JavaScript writes it",
        arguments: [
            ("emit(doc.nothing, undefined)", "null null"), ("emit()", "null null"), ("emit(0/0, 1/0)", "null null"),
            ("emit(new Date(0), 0.5)", "\"1970-01-01T00:00:00.000Z\" 0.5"), ("emit(true, 1e21)", "true 1e+21"),
            ("emit('ä\\u20ac', {b: 1, a: [true, false, null]})", "\"ä€\" {\"b\":1,\"a\":[true,false,null]}"),
            ("emit(doc.one, doc.big)", "1 12345678901234567000"), ("emit(Object.keys(doc).length, doc._id)", "3 \"a\""),
            ("emit(isArray([]), sum([1, 2]))", "true 3"),
            ("emit(toJSON({a: 1}), typeof console)", "\"{\\\"a\\\":1}\" \"undefined\""),
        ])
    func emits(_ body: String, _ row: String) async throws {
        try await ViewBench.run(["{\"_id\":\"a\",\"one\":1.0,\"big\":12345678901234567890}"]) { bench in
            try await bench.expect(DesignDocument(map: "function(doc){\(body)}"), gives: ["a " + row])
        }
    }

    @Test(
        "a function may be written in any of the usual ways",
        arguments: [
            "function(doc){emit(doc._id)}", "function (doc) {\n  emit(doc._id);\n};\n", "doc => emit(doc._id)",
            "(doc) => { emit(doc._id); } // all of them", "/* all */ function named(doc) { emit(doc._id) } ; // end",
            "(function(doc){ emit(doc._id) })", "function(doc){emit(\"http://x\".length && doc._id)};",
        ])
    func spellings(_ map: String) async throws {
        try await ViewBench.run(["{\"_id\":\"a\"}"]) { bench in
            try await bench.views.functions.check(DesignDocument(map: map))
            try await bench.expect(DesignDocument(map: map), gives: ["a \"a\" null"])
        }
    }

    @Test("a document for which the function throws has no rows, and the others do")
    func throwing() async throws {
        let map = "function(doc){emit('early'); if (doc.n === 2) throw new Error('no'); if (doc.n > 3) nothere();}"
        try await ViewBench.run(Self.five) { bench in
            try await bench.expect(DesignDocument(map: map), ids: ["a", "b", "d"])
        }
    }

    @Test(
        "what can not be written as JSON counts as thrown, and either is told with the document's id, whatever is thrown"
    )
    func cyclic() async throws {
        let map = """
            function(doc){
              var o = {};
              doc._id = 'another';
              if (doc.n === 1) o.o = o;
              if (doc.n === 2) o.b = BigInt(1);
              if (doc.n === 3) { o.o = o; throw o; }
              emit(doc.n, o);
            }
            """
        let messages = ViewMessages()
        try await ViewBench.run(Self.five, messages: messages) { bench in
            try await bench.expect(DesignDocument(map: map), ids: ["a", "e"])
            let told = messages.take().sorted()
            #expect(told.allSatisfy { $0.hasPrefix("function raised exception (") }, "\(told)")
            #expect(told.compactMap { $0.split(separator: "doc._id ").last }.sorted() == ["b", "c", "d"])
        }
    }

    @Test("a map function that never ends is stopped and named, and the next query works")
    func endless() async throws {
        let map = "function(doc){if (doc.n === 3 && doc.loop !== false) while (true) {} emit(doc.n);}"
        try await ViewBench.run(Self.five, seconds: 0.2) { bench in
            let design = DesignDocument(map: map)
            let error = await #expect(throws: StoreError.self) { try await bench.page(design) }
            #expect(error?.code.status == 500 && error?.reason.contains("\"d\"") == true, "\(error as Any)")
            try bench.log.put("{\"_id\":\"d\",\"n\":3,\"loop\":false}")
            try await bench.expect(design, ids: ["a", "b", "c", "d", "e"])
        }
    }

    @Test("a key that is nested without end in sight harms nobody")
    func deep() async throws {
        let map = "function(doc){var a = []; for (var i = 0; i < 10000 * (doc.n + 1); i++) a = [a]; emit(a, doc.n)}"
        let messages = ViewMessages()
        try await ViewBench.run(Self.five, messages: messages) { bench in
            let rows = try await bench.page(DesignDocument(map: map)).rows
            // How deep a value can be written is up to the engine, and differs from call to call as it compiles. What could
            // not be written is told.
            let told = messages.take().compactMap { $0.split(separator: "doc._id ").last.map(String.init) }
            #expect((rows.compactMap(\.id) + told).sorted() == ["a", "b", "c", "d", "e"])
            let values = ["a": "0", "b": "1", "c": "2", "d": "3", "e": "4"]
            for row in rows { #expect(values[row.id ?? ""] == String(decoding: row.value, as: UTF8.self)) }
            try await bench.expect(Self.n, ids: ["a", "b", "c", "d", "e"])
        }
    }

    /// Ways to change a document.
    static let changes = [
        "doc.n = 7", "doc['n'] += 6", "doc . n\n=\n7", "doc.n /**/ = 7", "doc.n++", "++doc.n", "doc.list[0]--",
        "delete doc.n", "[doc.n] = [7]", "({ n: doc.n } = { n: 7 })", "doc.n &&= 7", "doc.n <<= 1", "doc.list.push(9)",
        "var own = [], list = doc.list; list.unshift(1)", "var list = []; list = doc.list; list.push(9)",
        "var list = []; function add(list) { list.push(9); } add(doc.list)", "[].push.call(doc.list, 9)",
        "var name = 'pu' + 'sh'; doc.list[name](9)", "for (doc.n in doc.list) {}", "Object.assign(doc, { n: 7 })",
        "doc.lists.forEach(list => { list.length = 0; })", "Object.freeze(doc)", "eval('doc.' + 'n=7')",
        "doc.\\u006e = 7", "doc.text = `${doc.n = 7}`",
    ]

    @Test("one view can not change what another one sees", arguments: changes)
    func isolation(_ change: String) async throws {
        let reader = DesignDocument.View(
            map: """
                function (doc) {
                  // One with a list of its own.
                  var parts = [];
                  for (var name in doc) { parts.push(name); }
                  var before = doc.n;
                  if (!Object.isFrozen(doc)) { emit([before, parts.sort().join()], doc.lists.concat(doc.list)); }
                }
                """)
        var design = DesignDocument(name: "d")
        design.views = [
            "a": reader, "b": .init(map: "function (doc) { \(change); emit(doc.n, doc.list); }"), "c": reader,
        ]
        try await ViewBench.run(["{\"_id\":\"a\",\"n\":1,\"list\":[1],\"lists\":[[2]]}"]) { bench in
            for view in ["a", "c"] {
                try await bench.expect(design, view, gives: ["a [1,\"_id,list,lists,n\"] [[2],1]"])
            }
            _ = try await bench.rows(design, "b")
        }
    }

    @Test("require reads the modules of views.lib")
    func library() async throws {
        var design = DesignDocument(name: "d")
        design.document["views"] = [
            "lib": [
                "double": "exports.of = function (n) { return 2 * n; };",
                "sub": ["plus": "var d = require('../double'); exports.one = function (n) { return d.of(n) + 1; };"],
            ],
            "v": ["map": "function(doc){emit(doc.n, require('views/lib/sub/plus').one(doc.n))}"],
        ]
        try await ViewBench.run(Self.five) { bench in
            try await bench.expect(design, gives: ["c 2 5"]) { $0.key = 2 }
        }
    }

    @Test("design documents have no rows unless the options say so")
    func designDocuments() async throws {
        let documents = ["{\"_id\":\"_design/x\"}", "{\"_id\":\"a\"}"]
        try await ViewBench.run(documents) { bench in
            var design = DesignDocument(map: "function(doc){emit(doc._id)}")
            try await bench.expect(design, ids: ["a"])
            design.document["options"] = ["include_design": true]
            try await bench.expect(design, ids: ["_design/x", "a"])
        }
    }

    @Test("a view of its own collation option is ordered by bytes")
    func rawCollation() async throws {
        var design = DesignDocument(name: "d")
        design.document["views"] = ["v": ["map": "function(doc){emit(doc.k)}", "options": ["collation": "raw"]]]
        let documents = ["\"a\"", "\"B\"", "[1]", "{}", "true", "null", "false", "7"].enumerated().map {
            "{\"_id\":\"\($0.offset)\",\"k\":\($0.element)}"
        }
        try await ViewBench.run(documents) { bench in
            let keys = try await bench.page(design).rows.map { String(decoding: $0.key, as: UTF8.self) }
            #expect(keys == ["7", "false", "null", "true", "{}", "[1]", "\"B\"", "\"a\""])
        }
    }

    @Test(
        "options that can not be are refused in CouchDB's words",
        arguments: [
            Case(
                description:
                    "No rows can match your key range, reverse your start_key and end_key or set descending=true",
                ids: "", offset: 0
            ) {
                $0.startKey = 3
                $0.endKey = 1
            },
            Case(
                description:
                    "No rows can match your key range, reverse your start_key and end_key or set descending=false",
                ids: "", offset: 0
            ) {
                $0.startKey = 1
                $0.endKey = 3
                $0.descending = true
            },
            Case(description: "Reduce is invalid for map-only views.", ids: "", offset: 0) { $0.reduce = true },
            Case(description: "Invalid use of grouping on a map view.", ids: "", offset: 0) { $0.group = true },
            Case(description: "Invalid use of grouping on a map view.", ids: "", offset: 0) { $0.groupLevel = 1 },
        ])
    func refused(_ wanted: Case) async throws {
        try await ViewBench.run(Self.five) { bench in
            let error = await #expect(throws: StoreError.self) { try await bench.page(Self.n, "v", wanted.change) }
            #expect(error?.reason == wanted.description)
            #expect(error?.code.word == "query_parse_error" && error?.code.status == 400)
        }
    }

    @Test("a view or language that is not there is named as CouchDB names it")
    func absent() async throws {
        try await ViewBench.run(Self.five) { bench in
            let missing = await #expect(throws: StoreError.self) { try await bench.page(Self.n, "never") }
            #expect(missing?.code.status == 404 && missing?.reason == "missing_named_view")
            var changed = Self.n
            changed.document["language"] = "erlang"
            let erlang = changed
            let unknown = await #expect(throws: StoreError.self) { try await bench.page(erlang) }
            #expect(unknown?.code.word == "unknown_query_language" && unknown?.code.status == 500)
        }
    }
}
