import CouchDB
import CouchDocument
import Testing

@Suite("Mango queries", .timeLimit(.minutes(2)))
struct FindTests {
    private func withPeople(_ body: (Database) async throws -> Void) async throws {
        try await withFreshDatabase { database in
            let outcomes = try await database.bulkSave(
                (0..<10).map {
                    Document(
                        id: "p \($0)", fields: ["age": .integer($0 * 10), "name": ["first+": .string("é\($0)")]])
                })
            #expect(outcomes.allSatisfy { $0.error == nil })
            try await body(database)
        }
    }

    @Test("finds documents by selector and shows the fields asked for — POST /db/_find")
    func find() async throws {
        try await withPeople { database in
            let page = try await database.find([
                "selector": ["age": ["$gte": 70], "name.first+": ["$ne": "é8"]], "fields": ["_id", "name.first+"],
            ])
            #expect(page.documents.map(\.id) == ["p 7", "p 9"])
            #expect(page.documents[0]["name"] == ["first+": "é7"])
            #expect(page.warning?.contains("No matching index found") == true)
        }
    }

    @Test("goes on at a bookmark — POST /db/_find")
    func bookmark() async throws {
        try await withPeople { database in
            var query: JSONObject = ["selector": ["age": ["$gt": 30]], "limit": 4]
            let first = try await database.find(query)
            query["bookmark"] = first.bookmark.map(JSON.string)
            let second = try await database.find(query)
            #expect((first.documents + second.documents).map(\.id) == (4..<10).map { "p \($0)" })
        }
    }

    @Test("makes, lists, uses and removes an index — /db/_index")
    func indexes() async throws {
        try await withPeople { database in
            #expect(try await database.createIndex([["age": "asc"]], name: "by/age", design: "a b"))
            #expect(try await !database.createIndex([["age": "asc"]], name: "by/age", design: "a b"))
            let indexes = try await database.indexes()
            #expect(indexes.map(\.name) == ["_all_docs", "by/age"])
            #expect(indexes.map(\.design) == [nil, "_design/a b"])
            #expect(indexes[1].definition["fields"] == [["age": "asc"]])
            let page = try await database.find([
                "selector": ["age": ["$lt": 100]], "sort": [["age": "desc"]], "limit": 2, "execution_stats": true,
            ])
            #expect(page.documents.map(\.id) == ["p 9", "p 8"])
            #expect(page.warning == nil)
            #expect(page.raw["execution_stats"]?["results_returned"] == 2)
            try await database.deleteIndex("by/age", design: "_design/a b")
            #expect(try await database.indexes().count == 1)
            await #expect { try await database.deleteIndex("by/age", design: "a b") } throws: {
                CouchDBError.notFound ~= $0
            }
        }
    }

    @Test("an index the server names is found again by its fields — POST /db/_index")
    func unnamed() async throws {
        try await withPeople { (database) async throws in
            #expect(try await database.createIndex(["age", "name.first+"]))
            #expect(try await !database.createIndex(["age", "name.first+"]))
            #expect(try await database.createIndex(["age"]))
            #expect(try await database.indexes().count == 3)
        }
    }

    @Test("an index of some documents only is used when it is named — POST /db/_index")
    func partial() async throws {
        try await withPeople { database in
            try await database.createIndex(["age"], design: "old", partialFilter: ["age": ["$gte": 60]])
            var query: JSONObject = ["selector": ["age": ["$gt": 70]], "fields": ["age"]]
            #expect(try await database.find(query).warning != nil)
            query["use_index"] = "old"
            let page = try await database.find(query)
            #expect(page.warning == nil)
            #expect(page.documents.map { $0["age"] } == [80, 90])
        }
    }

    @Test("says what the server says of a query that can not be — POST /db/_find")
    func refused() async throws {
        try await withPeople { database in
            await #expect {
                try await database.find(["selector": ["age": ["$gt": 0]], "sort": ["age"]])
            } throws: {
                guard let error = $0 as? CouchDBError else { return false }
                return CouchDBError.badRequest ~= error && error.error == "no_usable_index"
                    && error.reason.hasPrefix("No index exists for this sort")
            }
            await #expect { try await database.find(["selector": ["age": ["$nope": 0]]]) } throws: {
                ($0 as? CouchDBError)?.error == "invalid_operator"
            }
        }
    }
}
