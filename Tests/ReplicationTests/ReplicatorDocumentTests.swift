import CouchDB
import CouchDocument
import Foundation
import TestSupport
import Testing

@Suite("Documents in _replicator")
struct ReplicatorDocumentTests {
    /// Waits until the document in `_replicator` is in that state.
    private func wait(for state: String, of id: String, on server: Server) async throws -> Document {
        var query = ChangesQuery()
        query.includeDocuments = true
        for try await change in server.database("_replicator").changeFeed(query) where change.id == id {
            if let document = change.document, document["_replication_state"]?.stringValue == state { return document }
        }
        throw CancellationError()
    }

    private func page(_ id: String, on server: Server) async throws -> JSONObject {
        try await server.request("GET", "/_scheduler/docs/_replicator/" + id.percentEncodedSegment).object()
    }

    @Test(
        "a document is carried out once, says so, and begins anew when its state is taken out", .timeLimit(.minutes(1)))
    func completed() async throws {
        try await withPair { server, source, target in
            try await source.save(Document(id: "a"))
            let replicator = server.database("_replicator")
            let id = "job " + UUID().uuidString
            try await replicator.save(
                Document(id: id, fields: Replication(from: source.name, to: target.name).fields))
            var document = try await wait(for: "completed", of: id, on: server)
            #expect(document["owner"] == "admin")
            #expect(document["_replication_stats"]?["docs_written"] == 1)
            #expect(document["_replication_state_time"]?.stringValue?.hasSuffix("Z") == true)
            #expect(try await target.documentIfPresent("a") != nil)
            #expect(try await page(id, on: server)["state"] == "completed")
            try await source.save(Document(id: "b"))
            document["_replication_state"] = nil
            document["_replication_state_time"] = nil
            document["_replication_stats"] = nil
            try await replicator.save(document)
            let second = try await wait(for: "completed", of: id, on: server)
            #expect(try await target.documentIfPresent("b") != nil)
            try await replicator.delete(id, revision: try #require(second.revision))
        }
    }

    @Test("a document that can not be is told why", .timeLimit(.minutes(1)))
    func failed() async throws {
        let server = try await TestServer.shared().client()
        let replicator = server.database("_replicator")
        let id = "bad " + UUID().uuidString
        try await replicator.save(Document(id: id, fields: ["source": "a"]))
        let document = try await wait(for: "failed", of: id, on: server)
        #expect(document["_replication_state_reason"] == "the `target` is missing")
        #expect(try await page(id, on: server)["state"] == "failed")
        try await replicator.delete(id, revision: try #require(document.revision))
        await server.shutdown()
    }

    @Test("the target is killed in the middle: the replication goes on from its checkpoint", .timeLimit(.minutes(2)))
    func interrupted() async throws {
        try await withPair { server, source, _ in
            // A CouchDB waits half a minute for the first time.
            _ = try await server.request(
                "PUT", "/_node/_local/_config/tokenpoold/replication_pause", body: .json("500"))
            let other = try await TestServer.start()
            let client = try other.client()
            let target = try await client.createDatabase("target")
            let count = 3000
            for start in stride(from: 0, to: count, by: 1000) {
                _ = try await source.bulkSave(
                    (start..<start + 1000).map { Document(id: "t\($0)", fields: ["n": .integer($0)]) })
            }
            try await fill(source)
            let replicator = server.database("_replicator")
            let id = "move " + UUID().uuidString
            var replication = Replication(from: source.name, to: other.url + "/target")
            replication.options = ["worker_batch_size": 50, "checkpoint_interval": 1]
            try await replicator.save(Document(id: id, fields: replication.fields))
            // Some batches are there, and remembered, before it dies.
            for try await change in target.changeFeed() {
                if (change.sequence.flatMap { Int($0.prefix { $0 != "-" }) } ?? 0) >= 500 { break }
            }
            try await other.kill()
            while try await page(id, on: server)["state"] != "crashing" { await Task.yield() }
            let crashed = try await page(id, on: server)
            #expect(!crashed.description.contains("secret"))
            try await other.restart()
            let document = try await wait(for: "completed", of: id, on: server)
            #expect(try await contents(of: target) == contents(of: source))
            // The second run began where the first had been remembered, not at the beginning.
            let name = try #require(crashed["id"]?.stringValue).prefix { $0 != "+" }
            let log = try await source.document("_local/\(name)")
            let runs = try #require(log["history"]?.arrayValue)
            #expect(runs.count >= 2)
            #expect(runs.first?["start_last_seq"]?.stringValue != nil)
            #expect(runs.last?["start_last_seq"] == 0)
            #expect(try await client.database("target").document("_local/\(name)").fields["history"] == log["history"])
            try await replicator.delete(id, revision: try #require(document.revision))
            await client.shutdown()
            try await other.stop()
        }
    }

    @Test("the server that replicates is killed in the middle: it goes on from its checkpoint", .timeLimit(.minutes(2)))
    func killed() async throws {
        try await withPair { server, source, target in
            let own = try await TestServer.start()
            let client = try own.client()
            let count = 3000
            for start in stride(from: 0, to: count, by: 1000) {
                _ = try await source.bulkSave(
                    (start..<start + 1000).map { Document(id: "t\($0)", fields: ["n": .integer($0)]) })
            }
            try await fill(source)
            let common = try await TestServer.shared().url
            var replication = Replication(from: common + "/" + source.name, to: common + "/" + target.name)
            replication.options = ["worker_batch_size": 50, "checkpoint_interval": 1]
            try await client.database("_replicator").save(Document(id: "pull", fields: replication.fields))
            for try await change in target.changeFeed() {
                if (change.sequence.flatMap { Int($0.prefix { $0 != "-" }) } ?? 0) >= 500 { break }
            }
            try await own.kill()
            let copied = try await target.info().documentCount
            try await own.restart()
            let document = try await wait(for: "completed", of: "pull", on: client)
            #expect(try await contents(of: target) == contents(of: source))
            // Only what the checkpoint did not know was read again; the rest was there.
            let log = try await source.localLog()
            let runs = try #require(log["history"]?.arrayValue)
            #expect(runs.count >= 2)
            #expect(runs.first?["start_last_seq"]?.stringValue != nil)
            #expect(document["_replication_stats"]?["doc_write_failures"] == 0)
            #expect(copied < count)
            await client.shutdown()
            try await own.stop()
        }
    }
}

extension Database {
    /// The one checkpoint that a replication left.
    fileprivate func localLog() async throws -> JSON {
        let page = try await server.request(
            "GET", "/" + name.percentEncodedSegment + "/_local_docs", query: [("include_docs", "true")]
        ).object()
        return try #require(page["rows"]?[0]?["doc"])
    }
}
