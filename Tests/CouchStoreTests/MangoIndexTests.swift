import CouchDocument
import CouchStore
import Testing

@Suite("Mango indexes")
struct MangoIndexTests {
    /// Documents `d000`… with `n` from 0, and `odd`.
    private func fill(_ database: StoredDatabase, _ count: Int) async throws {
        let edits = (0..<count).map { n in
            let digits = String(n)
            return Edit(
                id: "d" + String(repeating: "0", count: 4 - digits.utf8.count) + digits,
                body: ["n": .integer(n), "odd": .bool(n % 2 == 1), "text": .string("t\(n % 7)")])
        }
        _ = try await database.write(edits)
    }

    @Test("after any edits, deletions and conflicts an index gives what a look at all documents gives")
    func agreesWithScan() async throws {
        var random = SeededRandom(seed: 7)
        try await TemporaryStore.withDatabase { database, _ in
            try await database.makeIndex(["a"], design: "one")
            try await database.makeIndex(["a", "sub.b"], design: "two")
            try await database.makeIndex(["sub.b"], design: "part", filter: ["a": ["$gt": 4]])
            let values: [JSON] = [nil, 1, number("2.5"), 5, 9, "é", "z", [1], ["x": 1]]
            for round in 0..<40 {
                for _ in 0..<6 {
                    let id = "d\(Int.random(in: 0..<12, using: &random))"
                    var body: JSONObject = ["round": .integer(round)]
                    body["a"] = values.randomElement(using: &random)
                    if Bool.random(using: &random) {
                        body["sub"] = ["b": values.randomElement(using: &random) ?? nil]
                    }
                    let current = try await database.read(id)
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0:
                        // A branch of its own, which can become the winner or lose.
                        let generation = Int.random(in: 1...6, using: &random)
                        let hash = String(UInt64.random(in: 0 ... .max, using: &random), radix: 16)
                        _ = try await database.replicate(
                            id, ["\(generation)-\(hash)"], body, isDeleted: Bool.random(using: &random))
                    case 1: if let current, !current.isDeleted { try await database.delete(id, current.revision) }
                    default:
                        _ = try await database.write(
                            Edit(id: id, parent: current.flatMap { $0.isDeleted ? nil : $0.revision }, body: body))
                    }
                }
                let all = try await database.find(["selector": [:]]).documents
                for (selector, design) in [
                    (["a": ["$gt": nil]], "one"), (["a": ["$gte": 2, "$lt": "zz"]], "one"),
                    (["a": 5, "sub.b": ["$exists": true]], "two"), (["a": ["$gt": 4], "sub.b": ["$gt": 1]], "part"),
                ] as [(JSON, String)] {
                    let found = try await database.find([
                        "selector": selector, "use_index": .string(design), "allow_fallback": false,
                    ])
                    let meant = try Selector(selector)
                    let wanted = all.filter(meant.matches)
                    #expect(Set(found.documents) == Set(wanted), "\(selector) in round \(round)")
                    #expect(found.documents.count == wanted.count)
                }
            }
        }
    }

    @Test("a range is read from the index, not found by looking at all documents")
    func readsRange() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            try await fill(database, 900)
            try await database.makeIndex(["n"], design: "n")
            let some = try await database.find(["selector": ["n": ["$gte": 100, "$lt": 103]]])
            #expect(some.ids == ["d0100", "d0101", "d0102"])
            #expect(some.statistics.keys == 4)  // The last one lies at the end itself.
            #expect(some.warning == nil)
            let first = try await database.find([
                "selector": ["n": ["$gt": 5]], "sort": [["n": "desc"]], "limit": 2, "fields": ["n"],
            ])
            #expect(first.documents == [["n": 899], ["n": 898]])
            #expect(first.statistics.keys == 2)
            #expect(first.statistics.documents == 0)
            let all = try await database.find(["selector": ["n": ["$gte": 0]], "limit": 2000, "fields": ["n", "odd"]])
            #expect(all.documents.map { $0["n"] } == (0..<900).map { .integer($0) })
            #expect(all.statistics.documents == 900)
        }
    }

    @Test("without an index the documents are looked at one after the other, and the answer says so")
    func scans() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            try await fill(database, 1200)
            let found = try await database.find(["selector": ["n": 1190]])
            #expect(found.ids == ["d1190"])
            #expect(found.statistics.documents == 1200)
            #expect(
                found.warning == """
                    No matching index found, create an index to optimize query time.
                    The number of documents examined is high in proportion to the number of results returned. Consider \
                    adding a more specific index to improve this.
                    """)
            let few = try await database.find(["selector": ["_id": ["$gte": "d0400", "$lt": "d0403"]]])
            #expect(few.ids == ["d0400", "d0401", "d0402"])
            #expect(few.statistics.documents <= 4)
        }
    }

    @Test("a bookmark goes on after the last document, forwards and backwards, also when that one is gone")
    func bookmarks() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            try await fill(database, 40)
            try await database.makeIndex(["text"], design: "text")
            for (selector, sort) in [
                (["n": ["$gt": 2]], []), (["text": ["$gte": "t1"]], ["text"]),
                (["text": ["$gt": "t0"]], [["text": "desc"]]),
                (["_id": ["$gt": "d0001"]], [["_id": "desc"]]),
            ] as [(JSON, JSON)] {
                let query: JSONObject = ["selector": selector, "sort": sort, "limit": 100]
                let whole = try await database.find(query).ids
                var part = query
                part["limit"] = 3
                var paged: [String] = []
                while true {
                    let page = try await database.find(part)
                    if page.ids.isEmpty { break }
                    paged += page.ids
                    part["bookmark"] = page.bookmark.map(JSON.string)
                }
                #expect(paged == whole, "\(selector)")
                #expect(whole.count > 30)
            }
            let first = try await database.find(["selector": ["text": "t3"], "limit": 2])
            let gone = try #require(try await database.read(first.ids[1]))
            try await database.delete(gone.id, gone.revision)
            let rest = try await database.find([
                "selector": ["text": "t3"], "bookmark": .string(first.bookmark ?? ""),
            ])
            #expect(first.ids == ["d0003", "d0010"] && rest.ids == ["d0017", "d0024", "d0031", "d0038"])
        }
    }

    @Test("an index can be read as a view, counts its rows, and forgets documents that lose a field")
    func isView() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            try await database.makeIndex(["a", "b\\.c"], design: "x", name: "y z")
            try await database.put("1", ["a": 1, "b.c": "x"])
            let revision = try await database.put("2", ["b.c": 1, "a": ["k": [number("1.0"), "é"]]])
            try await database.put("3", ["a": 1])
            let design = try #require(try await database.designDocuments().first)
            var query = ViewIndexQuery()
            #expect(
                try await database.views.query(design: design, view: "y z", query).rows.map(\.value) == [
                    Array("2".utf8)[...]
                ])
            query.reduce = false
            let rows = try await database.views.query(design: design, view: "y z", query).rows
            #expect(rows.map { text(Array($0.key)) } == ["[1,\"x\"]", "[{\"k\":[1.0,\"é\"]},1]"])
            try await database.put("2", ["a": 1], after: revision)
            #expect(try await database.views.query(design: design, view: "y z", query).rows.map(\.id) == ["1"])
        }
    }
}
