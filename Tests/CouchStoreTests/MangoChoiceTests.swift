import CouchDocument
import CouchStore
import Testing

@Suite("The choice of a Mango index")
struct MangoChoiceTests {
    /// Runs with indexes on `a`, on `a` and `b`, on `c`, and a partial one on `a`.
    private func withIndexes(_ body: (StoredDatabase) async throws -> Void) async throws {
        try await TemporaryStore.withDatabase { database, _ in
            try await database.makeIndex(["a"], design: "a", name: "one")
            try await database.makeIndex(["a", "b"], design: "ab", name: "two")
            try await database.makeIndex(["c"], design: "c", name: "three")
            try await database.makeIndex(["a"], design: "partial", name: "four", filter: ["done": false])
            try await body(database)
        }
    }

    private func explain(_ query: JSONObject, _ database: StoredDatabase) async throws -> JSON {
        try await FindExplanation.json(try FindQuery(query), in: database)
    }

    @Test(
        "the index that narrows most, with fewest fields, wins; one that lacks matching documents never does",
        arguments: [
            (["selector": ["a": 1]], "one"), (["selector": ["a": 1, "b": 2]], "two"),
            (["selector": ["a": 1, "c": 2]], "one"), (["selector": ["b": 1]], "_all_docs"),
            (["selector": ["a": ["$exists": false]]], "_all_docs"),
            (["selector": ["$or": [["a": 1], ["b": 2]]]], "_all_docs"),
            (["selector": ["$or": [["a": 1], ["a": 2, "b": 1]]]], "one"),
            (["selector": ["a": 1, "b": ["$gt": 2]], "sort": ["b"]], "two"),
            (["selector": ["a": ["$gt": 2]], "sort": ["a", "b"]], "two"),
            (["selector": ["a": 1], "use_index": "partial"], "four"),
            (["selector": ["a": 1], "use_index": ["_design/partial", "four"]], "four"),
            (["selector": ["c": 1], "use_index": "a"], "three"), (["selector": [:], "sort": ["c"]], "three"),
            (["selector": ["$text": "word", "a": 1]], "_all_docs"),
        ] as [(JSON, String)])
    func choice(query: JSON, wanted: String) async throws {
        try await withIndexes { database in
            let answer = try await explain(query.objectValue ?? [:], database)
            #expect(answer["index"]?["name"]?.stringValue == wanted)
        }
    }

    @Test(
        "a sort without an index, and an index that does not suit and may not be replaced, are refused",
        arguments: [
            (
                ["selector": ["x": 1], "sort": ["x"]],
                "no_usable_index: No index exists for this sort, try indexing by the sort fields."
            ),
            (
                ["selector": ["a": ["$gt": 1]], "sort": ["b"]],
                "no_usable_index: No index exists for this sort, try indexing by the sort fields."
            ),
            (
                ["selector": ["c": 1], "use_index": "a", "allow_fallback": false],
                "invalid_index: _design/a specified by `use_index` could not be found or it is not suitable."
            ),
            (
                ["selector": ["c": 1], "use_index": ["a", "b"], "allow_fallback": false],
                "invalid_index: _design/a, b specified by `use_index` could not be found or it is not suitable."
            ),
            (
                ["selector": [:], "sort": ["a", ["c": "desc"]]],
                "unsupported_mixed_sort: Sorts currently only support a single direction for all fields."
            ),
            (["selector": [:], "nonsense": 1], "invalid_key: Invalid key nonsense for this request."),
            (["selector": [:], "use_index": [1]], "invalid_index_name: Invalid index name: [1]"),
        ] as [(JSON, String)])
    func refusals(query: JSON, reason: String) async throws {
        try await withIndexes { database in
            await #expect { try await explain(query.objectValue ?? [:], database) } throws: { "\($0)" == reason }
        }
    }

    @Test("an index that was named and not used is told")
    func warnings() async throws {
        try await withIndexes { database in
            try await database.put("d", ["c": 1])
            let other = try await database.find(["selector": ["c": 1], "use_index": "a"])
            #expect(other.warning == "_design/a was not used because it does not contain a valid index for this query.")
            let third = try await database.find(["selector": ["b": 1], "use_index": ["ab", "two"]])
            #expect(
                third.warning == """
                    _design/ab, two was not used because it is not a valid index for this query.
                    No matching index found, create an index to optimize query time.
                    """)
        }
    }

    @Test("an explanation names ranges, direction and why the other indexes were not taken")
    func explanation() async throws {
        try await withIndexes { database in
            let answer = try await explain(
                [
                    "selector": ["a": ["$gt": 1, "$lte": 5], "b": ["$ne": 2]], "sort": [["a": "desc"]], "fields": ["a"],
                ], database)
            #expect(answer["mrargs"]?["start_key"] == [5, "<MAX>"])
            #expect(answer["mrargs"]?["end_key"] == [1])
            #expect(answer["mrargs"]?["direction"] == "rev")
            #expect(answer["selector_hints"]?[0]?["unindexable_fields"] == ["b"])
            let reasons = (answer["index_candidates"]?.arrayValue ?? []).map { candidate in
                let name = candidate["index"]?["name"]?.stringValue ?? ""
                return "\(name): \(candidate["analysis"]?["reasons"]?[0]?["name"]?.stringValue ?? "")"
            }
            #expect(
                Set(reasons) == [
                    "two: too_many_fields", "three: field_mismatch", "_all_docs: field_mismatch", "four: is_partial",
                ])
        }
    }
}
