import CouchDB
import CouchDocument
import TestSupport
import Testing

/// The examples of docs/couchdb-client.md, line by line, so that they compile and do what they say.
@Suite("Examples of the documentation", .timeLimit(.minutes(1)))
struct ExamplesTests {
    @Test("the first steps")
    func firstSteps() async throws {
        let url = try await TestServer.shared().url
        let name = "examples-\(UInt64.random(in: 0 ... .max))"
        // begin: first steps
        let server = try Server(url: url)  // http://admin:secret@localhost:5984
        let database = try await server.createDatabaseIfMissing(name)

        var document = Document(id: "sample 1", fields: ["colour": "green", "size": 3])
        document.revision = try await database.save(document)

        document["size"] = 4
        do {
            document.revision = try await database.save(document)
        } catch CouchDBError.conflict {
            document = try await database.document(document.id)  // somebody was faster
        }
        // end
        #expect(document.revision?.generation == 2)
        try await server.deleteDatabase(name)
        await server.shutdown()
    }

    @Test("saving many")
    func bulk() async throws {
        try await withFreshDatabase { database in
            let documents = (0..<3).map { Document(id: "d\($0)") }
            // begin: bulk
            for outcome in try await database.bulkSave(documents) {
                switch outcome {
                case .saved(let id, let revision, _): print("\(id) is at \(revision)")
                case .failed(let id, let error): print("\(id) was not saved: \(error)")
                }
            }
            // end
            #expect(try await database.info().documentCount == 3)
        }
    }

    @Test("views")
    func views() async throws {
        try await withFreshDatabase { database in
            try await database.save(Document(id: "a", fields: ["colour": "green", "size": 4]))
            // begin: views
            var design = DesignDocument(name: "samples")
            design.views["by_colour"] = .init(map: "function (doc) { emit(doc.colour, doc.size); }", reduce: "_sum")
            try await database.push(design)  // writes nothing when nothing has changed

            let byColour = ViewName(design: "samples", view: "by_colour")
            var query = ViewQuery(key: "green")
            query.reduce = false
            query.includeDocuments = true
            for try await row in database.rows(byColour, query) {
                print(row.id ?? "", row.value, row.document?["size"] ?? .null)
            }

            query = ViewQuery()
            query.group = true
            let sizes = try await database.view(byColour, query).rows
            // end
            #expect(sizes.map(\.value) == [4])
        }
    }

    @Test("following changes")
    func changes() async throws {
        try await withFreshDatabase { database in
            try await database.save(Document(id: "a"))
            // begin: changes
            var query = ChangesQuery(since: "0")
            query.includeDocuments = true
            for try await change in database.changeFeed(query) {
                print(change.id, change.sequence ?? "")
                if change.id == "a" { break }
            }
            // end
        }
    }

    @Test("attachments")
    func attachments() async throws {
        try await withFreshDatabase { database in
            let document = Document(id: "a")
            let revision = try await database.save(document)
            let path = "/tmp/couchdb-examples-\(UInt64.random(in: 0 ... .max))"
            // begin: attachments
            try await database.putAttachment(
                "notes.txt", to: "a", revision: revision, contentType: "text/plain", body: .bytes(Array("hello".utf8)))
            try await database.downloadAttachment("notes.txt", of: "a", to: path)

            let attachment = try await database.attachment("notes.txt", of: "a")
            var count = 0
            for try await chunk in attachment.body { count += chunk.count }
            // end
            #expect(count == 5)
            unlinkFile(path)
        }
    }

    @Test("settings")
    func settings() throws {
        // begin: settings
        var configuration = try ServerConfiguration(url: "https://couch.example.org:6984")
        configuration.credentials = .cookie(user: "anna", password: "secret")
        configuration.tls = .proxyCertificate("/tmp/x509up_u1000", authorityFolder: "/etc/grid-security/certificates")
        configuration.timeouts.stall = .seconds(30)
        configuration.retry.within = .seconds(120)
        configuration.maxConnections = 16
        let server = try Server(configuration)
        // end
        #expect(server.configuration.maxConnections == 16)
    }
}
