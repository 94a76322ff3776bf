import CouchDB
import CouchDocument
import Foundation
import TestSupport
import Testing

@Suite("Replication by the server")
struct ReplicatorTests {
    private func url(_ database: Database) async throws -> String {
        try await TestServer.shared().url + "/" + database.name.percentEncodedSegment
    }

    @Test("a pool goes over and back with conflicts, deletions, histories and attachments — POST /_replicate")
    func roundTrip() async throws {
        try await withPair { server, source, target in
            try await fill(source)
            let before = try await contents(of: source)
            let answer = try await server.replicate(
                Replication(from: try await url(source), to: try await url(target)))
            let run = try #require(answer["history"]?[0])
            #expect(run["doc_write_failures"] == 0)
            #expect(run["docs_written"]?.intValue == before.count)
            #expect(run["missing_found"]?.intValue == before.count)
            #expect(try await contents(of: target) == before)
            // Back again: an edit of the other side arrives, and nothing else moves.
            try await target.save(Document(id: "answer", fields: ["n": 42]))
            let back = try await server.replicate(Replication(from: target.name, to: source.name))
            #expect(back["history"]?[0]?["missing_found"] == 1)
            #expect(try await contents(of: source) == contents(of: target))
            let again = try await server.replicate(Replication(from: target.name, to: source.name))
            #expect(again["no_changes"] == true)
            #expect(again["session_id"] == back["session_id"])
        }
    }

    @Test("a changed document sends only the attachments that the target does not have")
    func changedAttachments() async throws {
        try await withPair { server, source, target in
            let large = [UInt8](repeating: 7, count: 400_000)
            let first = try await source.putAttachment(
                "large", to: "a", revision: nil, contentType: "application/x-raw", body: .bytes(large))
            try await server.replicate(Replication(from: source.name, to: target.name))
            try await source.putAttachment(
                "more", to: "a", revision: first, contentType: "application/x-raw", body: .bytes(large + [1]))
            try await server.replicate(Replication(from: source.name, to: target.name))
            #expect(try await contents(of: source) == contents(of: target))
        }
    }

    @Test("only what is chosen goes over: by ids, by selector, by a filter function with parameters")
    func chosen() async throws {
        try await withPair { server, source, target in
            let design: JSONObject = [
                "filters": ["above": "function(doc, req) { return doc.n > Number(req.query.limit); }"]
            ]
            try await source.save(Document(id: "_design/d", fields: design))
            _ = try await source.bulkSave((0..<20).map { Document(id: "t\($0)", fields: ["n": .integer($0)]) })
            func ids() async throws -> Set<String> {
                Set(try await target.allDocuments().rows.compactMap(\.id))
            }
            var byID = Replication(from: source.name, to: target.name)
            byID.documentIDs = ["t1", "t2", "nobody"]
            let answer = try await server.replicate(byID)
            #expect(answer["docs_written"] == 2)
            #expect(try await ids() == ["t1", "t2"])
            var bySelector = Replication(from: source.name, to: target.name)
            bySelector.selector = ["n": ["$in": [3, 4]]]
            try await server.replicate(bySelector)
            #expect(try await ids() == ["t1", "t2", "t3", "t4"])
            var byFilter = Replication(from: source.name, to: target.name)
            byFilter.filter = "d/above"
            byFilter.options["query_params"] = ["limit": 17]
            try await server.replicate(byFilter)
            #expect(try await ids() == ["t1", "t2", "t3", "t4", "t18", "t19"])
        }
    }

    @Test("a target is made when that is asked for, and else its absence is told without the password")
    func creatingTarget() async throws {
        try await withPair { server, source, _ in
            try await source.save(Document(id: "a"))
            let name = source.name + "-made"
            var replication = Replication(
                from: source.name, to: try await TestServer.shared().url + "/" + name)
            do {
                try await server.replicate(replication)
                Issue.record("a missing target was taken")
            } catch let error as CouchDBError {
                #expect(error.status == 500)
                #expect(error.error == "db_not_found")
                #expect(!error.reason.contains("secret"))
            }
            replication.createTarget = true
            try await server.replicate(replication)
            #expect(try await server.database(name).documentIfPresent("a") != nil)
            try await server.deleteDatabase(name)
        }
    }

    @Test("what the target's rules refuse is counted, and the rest goes over")
    func refusedDocuments() async throws {
        try await withPair { server, source, target in
            let rule = "function(doc) { if (doc.bad) throw({forbidden: 'no bad ones'}); }"
            try await target.save(Document(id: "_design/rules", fields: ["validate_doc_update": .string(rule)]))
            _ = try await source.bulkSave(
                (0..<10).map { Document(id: "t\($0)", fields: ["bad": .bool($0 % 2 == 0)]) })
            let answer = try await server.replicate(Replication(from: source.name, to: target.name))
            #expect(answer["history"]?[0]?["doc_write_failures"] == 5)
            #expect(answer["history"]?[0]?["docs_written"] == 5)
            #expect(try await target.allDocuments().rows.count == 6)
        }
    }

    @Test("a continuous one brings later changes, stands in the lists without its password, and ends when cancelled")
    func continuous() async throws {
        try await withPair { server, source, target in
            var replication = Replication(from: try await url(source), to: target.name)
            replication.isContinuous = true
            let id = try #require(try await server.replicate(replication)["_local_id"]?.stringValue)
            #expect(id.hasSuffix("+continuous"))
            try await source.save(Document(id: "later"))
            for try await change in target.changeFeed() where change.id == "later" { break }
            let task = try #require(
                try await server.activeTasks().first { $0["replication_id"]?.stringValue == id })
            #expect(task["type"] == "replication")
            #expect(task["continuous"] == true)
            let job = try await server.request("GET", "/_scheduler/jobs/" + id.percentEncodedSegment).object()
            #expect(job["id"]?.stringValue == id)
            for page in [task.description, job.description] {
                #expect(page.contains("admin:*****@"))
                #expect(!page.contains("secret"))
            }
            try await server.cancel(replication)
            #expect(try await server.activeTasks().allSatisfy { $0["replication_id"]?.stringValue != id })
            await #expect(throws: CouchDBError.self) { try await server.cancel(replication) }
            // It remembered how far it came.
            replication.isContinuous = false
            #expect(try await server.replicate(replication)["no_changes"] == true)
        }
    }

    @Test("who may not read a database does not read it by replicating it")
    func permissions() async throws {
        try await withPair { server, source, target in
            try await source.save(Document(id: "hidden"))
            _ = try await server.request("PUT", "/" + target.name + "/_security", body: .json([:]))
            let name = "user-" + UUID().uuidString.lowercased()
            let users = server.database("_users")
            let user = Document(
                id: "org.couchdb.user:" + name,
                fields: ["name": .string(name), "type": "user", "roles": [], "password": "pw"])
            let revision = try await users.save(user)
            var configuration = try ServerConfiguration(url: server.configuration.url)
            configuration.credentials = .basic(user: name, password: "pw")
            let client = try Server(configuration)
            await #expect(throws: CouchDBError.self) {
                try await client.replicate(Replication(from: source.name, to: target.name))
            }
            #expect(try await target.documentIfPresent("hidden") == nil)
            _ = try await server.request("PUT", "/" + source.name + "/_security", body: .json([:]))
            try await client.replicate(Replication(from: source.name, to: target.name))
            #expect(try await target.documentIfPresent("hidden") != nil)
            await client.shutdown()
            try await users.delete(user.id, revision: revision)
        }
    }
}
