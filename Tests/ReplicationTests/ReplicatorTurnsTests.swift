import CouchDB
import CouchDocument
import TestSupport
import Testing

@Suite("Replications that take turns, and the databases that ask for them")
struct ReplicatorTurnsTests {
    private func set(_ key: String, _ value: String, in section: String = "replicator", on server: Server) async throws
    {
        _ = try await server.request(
            "PUT", "/_node/_local/_config/\(section)/" + key.percentEncodedSegment, body: .json(.string(value)))
    }

    @Test("no more run at once than max_jobs says, and the others get their turn", .timeLimit(.minutes(1)))
    func turns() async throws {
        let own = try await TestServer.start()
        let server = try own.client()
        try await set("interval", "50", on: server)
        // The interval holds from the next rotation on, so it is set before a start.
        try await own.stop()
        try await own.restart()
        try await set("max_jobs", "1", on: server)
        var targets: [Database] = []
        for number in 0..<3 {
            let source = try await server.createDatabase("source\(number)")
            try await source.save(Document(id: "first"))
            targets.append(try await server.createDatabase("target\(number)"))
            var replication = Replication(from: source.name, to: "target\(number)")
            replication.isContinuous = true
            try await server.replicate(replication)
        }
        func jobs() async throws -> [JSON] {
            try await server.request("GET", "/_scheduler/jobs").object()["jobs"]?.arrayValue ?? []
        }
        for target in targets {
            for try await change in target.changeFeed() where change.id == "first" { break }
            let running = try await jobs().filter { $0["pid"]?.stringValue != nil }
            #expect(running.count <= 1)
        }
        // Who made room waits for another turn, and gets it.
        try await server.database("source0").save(Document(id: "second"))
        for try await change in targets[0].changeFeed() where change.id == "second" { break }
        let types = try await jobs().flatMap { $0["history"]?.arrayValue ?? [] }.compactMap { $0["type"]?.stringValue }
        #expect(types.contains("stopped"))
        #expect(!types.contains("crashed"))
        // Nothing runs when nothing may, and what waited goes on when it may again.
        try await set("max_jobs", "0", on: server)
        while try await jobs().contains(where: { $0["pid"]?.stringValue != nil }) { await Task.yield() }
        #expect(try await server.activeTasks().isEmpty)
        try await server.database("source1").save(Document(id: "second"))
        try await set("max_jobs", "5", on: server)
        for try await change in targets[1].changeFeed() where change.id == "second" { break }
        await server.shutdown()
        try await own.stop()
    }

    @Test("a setting that can not be is refused")
    func settings() async throws {
        let own = try await TestServer.start()
        let server = try own.client()
        let wrong = [
            ("max_jobs", "-1"), ("max_churn", "0"), ("interval", "soon"), ("health_threshold", "0"),
            ("max_history", "0"), ("usage_coeff", "half"), ("priority_coeff", "nan"),
        ]
        for (key, value) in wrong {
            await #expect(throws: CouchDBError.self, "\(key)") { try await set(key, value, on: server) }
        }
        await #expect(throws: CouchDBError.self) {
            try await set("_replicator", "many", in: "replicator.shares", on: server)
        }
        try await set("a/_replicator", "200", in: "replicator.shares", on: server)
        try await set("usage_coeff", "0.25", on: server)
        let all = try await server.request("GET", "/_node/_local/_config").object()
        #expect(all["replicator.shares"] == ["a/_replicator": "200"])
        #expect(all["replicator"]?["usage_coeff"] == "0.25")
        #expect(all["replicator"]?["priority_coeff"] == "0.98")
        #expect(all["replicator"]?["health_threshold"] == "120")
        await server.shutdown()
        try await own.stop()
    }

    @Test(
        "a database whose name ends in /_replicator asks for replications, as soon as it is there and until it is gone",
        .timeLimit(.minutes(1)))
    func moreDatabases() async throws {
        try await withPair { server, source, target in
            try await source.save(Document(id: "a"))
            let name = source.name + "/_replicator"
            let replicator = try await server.createDatabase(name)
            try await replicator.save(
                Document(id: "copy", fields: Replication(from: source.name, to: target.name).fields))
            var query = ChangesQuery()
            query.includeDocuments = true
            for try await change in replicator.changeFeed(query)
            where change.document?["_replication_state"] == "completed" { break }
            #expect(try await target.documentIfPresent("a") != nil)
            #expect(try await replicator.document("copy")["owner"] == "admin")
            for path in [name, name.percentEncodedSegment] {
                let page = try await server.request("GET", "/_scheduler/docs/\(path)/copy").object()
                #expect(page["state"] == "completed")
                #expect(page["database"]?.stringValue == name)
                let list = try await server.request("GET", "/_scheduler/docs/\(path)").object()
                #expect(list["docs"]?.arrayValue?.count == 1)
            }
            await #expect(throws: CouchDBError.self) { try await server.request("GET", "/_scheduler/docs/other/copy") }
            var replication = Replication(from: source.name, to: target.name)
            replication.isContinuous = true
            try await replicator.save(Document(id: "follow", fields: replication.fields))
            func tasks() async throws -> [JSON] {
                try await server.activeTasks().filter { $0["database"]?.stringValue == name }
            }
            while try await tasks().isEmpty { await Task.yield() }
            #expect(try await tasks().map { $0["doc_id"] } == ["follow"])
            try await server.deleteDatabase(name)
            while try await !tasks().isEmpty { await Task.yield() }
        }
    }
}
