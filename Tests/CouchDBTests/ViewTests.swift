import CouchDB
import CouchDocument
import TestSupport
import Testing

@Suite("Views and changes", .timeLimit(.minutes(2)))
struct ViewTests {
    private static let byKind = ViewName(design: "a b", view: "by/kind")

    /// A database with twelve documents and a view of their kinds.
    private func withView(_ body: (Database) async throws -> Void) async throws {
        try await withFreshDatabase { database in
            var design = DesignDocument(name: Self.byKind.design)
            design.views = [
                Self.byKind.view: .init(map: "function (doc) { emit([doc.kind, doc.n], doc.n); }", reduce: "_sum")
            ]
            #expect(try await database.push(design).revision.generation == 1)
            let outcomes = try await database.bulkSave(
                (0..<12).map {
                    Document(
                        id: "d\($0 < 10 ? "0" : "")\($0)",
                        fields: ["kind": $0 % 2 == 0 ? "é+&" : "odd", "n": .integer($0)])
                })
            #expect(outcomes.allSatisfy { $0.error == nil })
            try await body(database)
        }
    }

    @Test("reads rows in key order, in ranges, backwards and in part — GET /db/_design/d/_view/v")
    func map() async throws {
        try await withView { database in
            var query = ViewQuery(startKey: ["odd"], endKey: ["odd", [:]])
            query.reduce = false
            let page = try await database.view(Self.byKind, query)
            #expect(page.totalRows == 12)
            #expect(page.rows.map(\.value) == [1, 3, 5, 7, 9, 11])
            query.descending = true
            (query.startKey, query.endKey) = (query.endKey, query.startKey)
            query.limit = 2
            query.skip = 1
            query.includeDocuments = true
            let last = try await database.view(Self.byKind, query)
            #expect(last.rows.map { $0.document?["n"] } == [9, 7])
            query = ViewQuery(key: ["é+&", 4])
            query.reduce = false
            #expect(try await database.view(Self.byKind, query).rows.map(\.id) == ["d04"])
        }
    }

    @Test("reads the rows of keys in their order — POST /db/_design/d/_view/v")
    func keys() async throws {
        try await withView { (database) async throws in
            var query = ViewQuery(keys: [["odd", 3], ["é+&", 2], ["none", 0]])
            query.reduce = false
            #expect(try await database.view(Self.byKind, query).rows.map(\.id) == ["d03", "d02"])
        }
    }

    @Test("reduces all, by key and by level — GET /db/_design/d/_view/v?group_level=")
    func reduce() async throws {
        try await withView { database in
            #expect(try await database.view(Self.byKind).rows.map(\.value) == [66])
            var query = ViewQuery()
            query.groupLevel = 1
            let page = try await database.view(Self.byKind, query)
            #expect(page.rows.map(\.key) == [["odd"], ["é+&"]] || page.rows.map(\.key) == [["é+&"], ["odd"]])
            #expect(Set(page.rows.compactMap(\.value.intValue)) == [36, 30])
        }
    }

    @Test("sends a query that is too long for a URL as a body — POST /db/_design/d/_view/v")
    func longKey() async throws {
        try await withView { (database) async throws in
            let long = JSON.string(String(repeating: "x", count: 10_000))
            var query = ViewQuery(startKey: ["odd", 9], endKey: ["odd", long])
            query.reduce = false
            #expect(try await database.view(Self.byKind, query).rows.map(\.value) == [9, 11])
        }
    }

    @Test("streams many rows as they are in the page — GET /db/_all_docs")
    func stream() async throws {
        try await withFreshDatabase { database in
            for batch in 0..<5 {
                _ = try await database.bulkSave(
                    (0..<400).map { Document(id: "d/\(batch * 400 + $0)", fields: ["s": "]}\""]) })
            }
            var query = ViewQuery()
            query.includeDocuments = true
            var rows: [ViewRow] = []
            for try await row in database.allDocumentRows(query) { rows.append(row) }
            #expect(rows.count == 2000)
            #expect(try await database.allDocuments(query).rows == rows)
        }
    }

    @Test("a view, design document or database that is not there is not found — GET /db/_design/d/_view/v")
    func missing() async throws {
        try await withView { database in
            for name in [ViewName(design: "a b", view: "none"), ViewName(design: "none", view: "v")] {
                await #expect { try await database.view(name) } throws: { CouchDBError.notFound ~= $0 }
                await #expect { for try await _ in database.rows(name) {} } throws: { CouchDBError.notFound ~= $0 }
            }
        }
    }

    @Test("pushes a design document once, and keeps members that only the stored one has — PUT /db/_design/d")
    func push() async throws {
        try await withFreshDatabase { database in
            var design = DesignDocument(name: "d")
            design.views = ["v": .init(map: "function (doc) { emit(doc._id); }")]
            guard case .created(let first) = try await database.push(design) else { return #expect(Bool(false)) }
            #expect(try await database.push(design) == .unchanged(first))
            var stored = try #require(try await database.designDocument("d"))
            stored.document["theirs"] = ["kept": true]
            let second = try await database.save(stored.document)
            #expect(try await database.push(design) == .unchanged(second))
            design.views["w"] = .init(map: "function (doc) { emit(1); }", reduce: "_count")
            guard case .updated(let third) = try await database.push(design) else { return #expect(Bool(false)) }
            #expect(third.generation == 3)
            let final = try #require(try await database.designDocument("d"))
            #expect(final.document["theirs"] == ["kept": true] && final.views.count == 2)
        }
    }

    @Test("tells changes once each, and goes on where it stopped — GET /db/_changes")
    func changes() async throws {
        try await withFreshDatabase { database in
            let first = try await database.save(Document(id: "a"))
            try await database.save(Document(id: "b"))
            try await database.delete("a", revision: first)
            let page = try await database.changes()
            #expect(page.results.map(\.id) == ["b", "a"])
            #expect(page.results.map(\.isDeleted) == [false, true])
            try await database.save(Document(id: "c"))
            var query = ChangesQuery(since: page.lastSequence)
            query.includeDocuments = true
            let next = try await database.changes(query)
            #expect(next.results.map { $0.document?.id } == ["c"])
            query.filter = .documentIDs(["b"])
            query.since = nil
            #expect(try await database.changes(query).results.map(\.id) == ["b"])
        }
    }

    @Test("waits for a change — GET /db/_changes?feed=longpoll")
    func longpoll() async throws {
        try await withFreshDatabase { database in
            let since = try await database.info().updateSequence
            async let page = database.changes(ChangesQuery(since: since), waiting: .seconds(30))
            try await database.save(Document(id: "a"))
            #expect(try await page.results.map(\.id) == ["a"])
            let empty = try await database.changes(ChangesQuery(since: "now"), waiting: .milliseconds(10))
            #expect(empty.results.isEmpty)
        }
    }

    @Test("follows changes as they happen — GET /db/_changes?feed=continuous")
    func continuous() async throws {
        try await withFreshDatabase { database in
            try await database.save(Document(id: "d0"))
            var seen: [String] = []
            for try await change in database.changeFeed() {
                seen.append(change.id)
                if seen.count == 5 { break }
                try await database.save(Document(id: "d\(seen.count)"))
            }
            #expect(seen == ["d0", "d1", "d2", "d3", "d4"])
        }
    }
}
