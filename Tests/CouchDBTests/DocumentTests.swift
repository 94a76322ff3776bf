import CouchDB
import CouchDocument
import TestSupport
import Testing

/// Against a real server: what is sent and what comes back.
@Suite("Documents", .timeLimit(.minutes(2)))
struct DocumentTests {
    private static let strangeIDs = [
        "plain", "a b", "a+b", "100%", "%41", "a&b=c", "#", "?x", "a/b", "ä–\u{1F600}", "line\nbreak", "tab\t", "\"q\"",
        "\\", "'",
        ".", "..",
    ]

    @Test("inserts with an id — PUT /db/id", arguments: strangeIDs)
    func insert(id: String) async throws {
        try await withFreshDatabase { database in
            let revision = try await database.save(Document(id: id, fields: ["n": 1, "x": .null]))
            #expect(revision.generation == 1)
            let document = try await database.document(id)
            #expect(document.id == id && document.revision == revision && document["n"] == 1)
            #expect(try await database.revision(of: id) == revision)
            let page = try await database.allDocuments()
            #expect(page.rows.map(\.id) == [id] && page.totalRows == 1)
        }
    }

    @Test("inserts without an id — POST /db")
    func insertWithoutID() async throws {
        try await withFreshDatabase { database in
            try await database.save(Document(fields: ["n": 1]))
            #expect(try await database.info().documentCount == 1)
        }
    }

    @Test("keeps member order and exact numbers — PUT and GET /db/id")
    func exact() async throws {
        try await withFreshDatabase { database in
            let fields: JSONObject = ["z": 1, "a": try JSON(parsing: "[1.0,12345678901234567890123]"), "m": "é\u{0}"]
            try await database.save(Document(id: "x", fields: fields))
            var read = try await database.document("x").fields
            for name in ["_id", "_rev"] { read[name] = nil }
            #expect(read == fields)
        }
    }

    @Test("a stale or missing revision is a conflict — PUT /db/id, DELETE /db/id?rev=")
    func conflict() async throws {
        try await withFreshDatabase { database in
            var document = Document(id: "x", fields: ["n": 1])
            let first = try await database.save(document)
            let sent = document
            let error = await #expect(throws: CouchDBError.self) { try await database.save(sent) }
            #expect(error?.code == .conflict && error?.status == 409 && error?.error == "conflict")
            #expect(error?.attempted.hasPrefix("PUT /couchdb-tests%2F") == true)
            document.revision = first
            document["n"] = 2
            let second = try await database.save(document)
            await #expect { try await database.delete("x", revision: first) } throws: { CouchDBError.conflict ~= $0 }
            try await database.delete("x", revision: second)
            #expect(try await database.documentIfPresent("x") == nil)
            let gone = await #expect(throws: CouchDBError.self) { try await database.document("x") }
            #expect(gone?.code == .notFound && gone?.reason == "deleted")
        }
    }

    @Test("a missing document is nil, a missing database an error — GET /db/id")
    func missing() async throws {
        try await withFreshDatabase { (database) async throws in
            #expect(try await database.documentIfPresent("x") == nil)
            #expect(try await database.revision(of: "x") == nil)
            let nowhere = database.server.database("couchdb-tests-nowhere")
            await #expect { try await nowhere.documentIfPresent("x") } throws: { CouchDBError.notFound ~= $0 }
        }
    }

    @Test("reads history, conflicts and leaves — GET /db/id?revs=true&conflicts=true, ?open_revs=…")
    func revisions() async throws {
        try await withFreshDatabase { database in
            let first = try await database.save(Document(id: "x", fields: ["n": 1]))
            var loser = Document(id: "x", fields: ["n": 2])
            loser["_revisions"] = ["start": 1, "ids": ["00000000000000000000000000000000"]]
            loser.revision = Revision("1-00000000000000000000000000000000")
            let outcomes = try await database.bulkSave([loser], newEdits: false)
            #expect(outcomes.map(\.error) == [nil] && outcomes.first?.revision == loser.revision)
            let document = try await database.document("x", options: [.conflicts, .revisions])
            #expect(document.conflicts.count == 1 && document["_revisions"]?["start"] == 1)
            let unknown = Revision(generation: 9, hash: "99999999999999999999999999999999")
            let leaves = try await database.openRevisions(of: "x")
            #expect(leaves.count == 2)
            #expect(try await database.openRevisions(of: "x", [unknown]) == [.missing(unknown)])
            #expect(try await database.document("x", revision: first)["n"] == 1)
        }
    }

    @Test("copies on the server — COPY /db/id")
    func copy() async throws {
        try await withFreshDatabase { database in
            try await database.save(Document(id: "a/b c", fields: ["n": 1]))
            let copied = try await database.copy("a/b c", to: "d e/f%")
            #expect(try await database.document("d e/f%")["n"] == 1)
            let again = try await database.copy("a/b c", to: "d e/f%", replacing: copied)
            #expect(again.generation == 2)
        }
    }

    @Test("saves many and tells of each — POST /db/_bulk_docs")
    func bulk() async throws {
        try await withFreshDatabase { database in
            try await database.save(Document(id: "b"))
            let outcomes = try await database.bulkSave(["a", "b", "c"].map { Document(id: $0, fields: ["n": 1]) })
            #expect(outcomes.map(\.id) == ["a", "b", "c"])
            #expect(outcomes.map { $0.error?.code } == [nil, .conflict, nil])
            #expect(outcomes.first?.revision?.generation == 1)
            #expect(try await database.bulkSave([]).isEmpty)
            await #expect { try await database.bulkSave([Document(id: "_bad")]) } throws: {
                CouchDBError.badRequest ~= $0
            }
        }
    }

    @Test("reads many in the order asked — POST /db/_all_docs, POST /db/_bulk_get")
    func many() async throws {
        try await withFreshDatabase { database in
            let outcomes = try await database.bulkSave(["a", "b c", "d/e"].map { Document(id: $0) })
            if let revision = outcomes[0].revision { try await database.delete("a", revision: revision) }
            let documents = try await database.documents(["d/e", "nope", "a", "b c", "d/e"])
            #expect(documents.map { $0?.id } == ["d/e", nil, nil, "b c", "d/e"])
            let found = try await database.bulkGet([("b c", outcomes[1].revision), ("nope", nil)])
            let ids = try found[0].map { try $0.get().id }
            #expect(ids == ["b c"])
            #expect(throws: CouchDBError.self) { try found[1].map { try $0.get() } }
        }
    }

    @Test("local documents have revisions of their own — PUT /db/_local/id")
    func local() async throws {
        try await withFreshDatabase { database in
            let revision = try await database.save(Document(id: "_local/check point", fields: ["n": 1]))
            #expect(revision.generation == 0)
            #expect(try await database.document("_local/check point")["n"] == 1)
            #expect(try await database.allDocuments().rows.isEmpty)
        }
    }

    @Test("32 writers at once lose nothing — PUT /db/id")
    func concurrent() async throws {
        try await withFreshDatabase { database in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<32 {
                    group.addTask {
                        for number in 0..<10 { try await database.save(Document(id: "\(writer)-\(number)")) }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await database.info().documentCount == 320)
        }
    }

    @Test("attachments go up and come down, by bytes and by file — PUT and GET /db/id/name")
    func attachments() async throws {
        try await withFreshDatabase { database in
            let content = (0..<1_500_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let first = try await database.putAttachment(
                "logs/a b%.bin", to: "x y", revision: nil, contentType: "application/x-test", body: .bytes(content))
            let attachment = try await database.attachment("logs/a b%.bin", of: "x y")
            #expect(attachment.contentType == "application/x-test" && attachment.length == content.count)
            #expect(try await attachment.bytes(upTo: 2_000_000) == content)
            let path = "/tmp/couchdb-tests-\(UInt64.random(in: 0 ... .max))"
            try await database.downloadAttachment("logs/a b%.bin", of: "x y", to: path)
            let second = try await database.putAttachment(
                "copy", to: "x y", revision: first, contentType: "text/plain", body: .file(path: path))
            unlinkFile(path)
            let document = try await database.document("x y")
            #expect(document.revision == second)
            #expect(document.attachment("copy")?.length == content.count)
            let third = try await database.deleteAttachment("copy", of: "x y", revision: second)
            #expect(third.generation == 3)
            await #expect { try await database.attachment("copy", of: "x y") } throws: { CouchDBError.notFound ~= $0 }
            let small = try await database.attachment("logs/a b%.bin", of: "x y")
            await #expect { try await small.bytes(upTo: 10) } throws: { CouchDBError.tooLarge ~= $0 }
        }
    }
}
