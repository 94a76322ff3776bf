import CouchDocument
import CouchStore
import Logging
import Testing

@Suite("Partitions")
struct PartitionTests {
    private func withPartitions(_ body: (StoredDatabase) async throws -> Void) async throws {
        try await withStore { store in
            let database = try await store.createDatabase("parts", isPartitioned: true)
            for partition in ["a", "ab", "é &"] {
                for n in 0..<4 {
                    try await database.put("\(partition):\(n)", ["n": .integer(n), "kind": ["x", .integer(n % 2)]])
                }
            }
            try await body(database)
        }
    }

    private func withStore(_ body: (Store) async throws -> Void) async throws {
        let temporary = try await TemporaryStore()
        do { try await body(temporary.store) } catch {
            try await temporary.remove()
            throw error
        }
        try await temporary.remove()
    }

    private static let byKind = DesignDocument(map: "function(doc){emit(doc.kind, doc.n)}", reduce: "_sum")

    private func rows(
        _ database: StoredDatabase, _ partition: String?, _ change: (inout ViewIndexQuery) -> Void = { _ in }
    ) async throws -> [String] {
        var query = ViewIndexQuery()
        query.partition = partition
        change(&query)
        return try await database.views.query(design: Self.byKind, view: "v", query).rows.map { row in
            "\(row.id ?? "-") \(text(Array(row.key)) ?? "") \(text(Array(row.value)) ?? "")"
        }
    }

    private func expect(
        _ database: StoredDatabase, _ partition: String, gives wanted: [String],
        at location: SourceLocation = #_sourceLocation, _ change: (inout ViewIndexQuery) -> Void = { _ in }
    ) async throws {
        let found = try await rows(database, partition, change)
        #expect(found == wanted, sourceLocation: location)
    }

    @Test("a view gives the rows of one partition, whole, in ranges, backwards, by keys and reduced")
    func views() async throws {
        try await withPartitions { database in
            try await expect(
                database, "a", gives: ["a:0 [\"x\",0] 0", "a:2 [\"x\",0] 2", "a:1 [\"x\",1] 1", "a:3 [\"x\",1] 3"]
            ) { $0.reduce = false }
            try await expect(database, "é &", gives: ["é &:3 [\"x\",1] 3", "é &:1 [\"x\",1] 1"]) { query in
                query.reduce = false
                query.descending = true
                query.limit = 2
            }
            try await expect(
                database, "ab",
                gives: ["ab:1 [\"x\",1] 1", "ab:3 [\"x\",1] 3", "ab:0 [\"x\",0] 0", "ab:2 [\"x\",0] 2"]
            ) { query in
                query.reduce = false
                query.keys = [["x", 1], ["none"], ["x", 0]]
            }
            try await expect(database, "ab", gives: ["- null 6"])
            try await expect(database, "ab", gives: ["- [\"x\",0] 2", "- [\"x\",1] 4"]) { $0.group = true }
            try await expect(database, "ab", gives: ["- [\"x\"] 6"]) { $0.groupLevel = 1 }
            try await expect(database, "a", gives: ["- [\"x\",1] 4"]) { query in
                query.groupLevel = 2
                query.descending = true
                query.limit = 1
            }
            try await expect(database, "none", gives: [])
        }
    }

    @Test("a partitioned view wants a partition, a global one takes none; the design document says which it is")
    func scopes() async throws {
        try await withPartitions { database in
            await #expect { try await rows(database, nil) } throws: {
                "\($0)" == "query_parse_error: `partition` parameter is mandatory for queries to this view."
            }
            var global = Self.byKind
            global.document["options"] = ["partitioned": false]
            var query = ViewIndexQuery()
            let whole = try await database.views.query(design: global, view: "v", query)
            #expect(whole.rows.map { text(Array($0.value)) } == ["18"])
            query.partition = "a"
            let asked = query
            await #expect { try await database.views.query(design: global, view: "v", asked) } throws: {
                "\($0)" == "query_parse_error: `partition` parameter is not supported in this design doc"
            }
        }
    }

    @Test("a query within a partition reads that partition, with an index and without")
    func find() async throws {
        try await withPartitions { database in
            let scan = try await database.find(["selector": ["n": ["$gt": 1]], "partition": "a"])
            #expect(scan.ids == ["a:2", "a:3"] && scan.statistics.documents == 4)
            try await database.makeIndex(["n"], design: "parts")
            try await database.makeIndex(["n"], design: "global", isPartitioned: false)
            for (partition, sort) in [("a", "asc"), ("é &", "desc")] {
                let found = try await database.find([
                    "selector": ["n": ["$gt": 1]], "partition": .string(partition), "sort": [["n": .string(sort)]],
                ])
                let ids = ["\(partition):2", "\(partition):3"]
                #expect(found.ids == (sort == "asc" ? ids : ids.reversed()) && found.statistics.keys <= 3)
            }
            let all = try await database.find(["selector": ["n": ["$gte": 3]]])
            #expect(all.ids == ["a:3", "ab:3", "é &:3"] && all.warning == nil)
            let page = try await database.find(["selector": ["n": ["$gte": 0]], "partition": "ab", "limit": 3])
            let rest = try await database.find([
                "selector": ["n": ["$gte": 0]], "partition": "ab", "bookmark": .string(page.bookmark ?? ""),
            ])
            #expect(page.ids + rest.ids == (0..<4).map { "ab:\($0)" })
            await #expect {
                try await database.find(["selector": ["kind": 1], "sort": ["kind"], "partition": "a"])
            } throws: { "\($0)".contains("No partitioned index exists for this sort") }
            await #expect { try await database.find(["selector": ["kind": 1], "sort": ["kind"]]) } throws: {
                "\($0)".contains("No global index exists for this sort")
            }
        }
    }

    @Test("a partition's documents are counted, and stay after the store is opened again")
    func counts() async throws {
        let temporary = try await TemporaryStore()
        let database = try await temporary.store.createDatabase("parts", isPartitioned: true)
        try await database.put("a:1")
        try await database.put("a;1:2")
        let revision = try await database.put("a:2")
        try await database.delete("a:2", revision)
        await temporary.store.close()
        let again = try await Store.open(folder: temporary.folder, logger: Logger(label: "test"))
        let opened = try #require(try await again.database("parts"))
        #expect(opened.isPartitioned)
        let info = try await opened.partition("a")
        #expect(info.documentCount == 1 && info.deletedCount == 1)
        await again.close()
        try await temporary.remove()
    }
}
