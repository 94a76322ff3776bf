import CouchDocument
import Foundation
import TestSupport
import Testing

/// What was acknowledged is there after the server was killed. Needs a server of its own: `COUCHDB_URL` is not used.
@Suite("A killed server")
struct DurabilityTests {
    private struct Acknowledged: Sendable {
        let path: String
        let revision: String
    }

    @Test("keeps every acknowledged write — kill -9 under concurrent writers", .timeLimit(.minutes(5)))
    func keepsWrites() async throws {
        let server = try await TestServer.start()
        let variables = try Variables(url: server.url)
        let admin = try Step(["method": "PUT", "path": "/{{db}}"]).request(variables)
        let setup = RawConnection(host: variables.host, port: variables.port)
        #expect(try await setup.send(admin).status == 201)

        for round in 0..<3 {
            let acknowledged = try await write(round: round, variables) { try await server.kill() }
            #expect(!acknowledged.isEmpty)
            try await server.restart()
            let reader = RawConnection(host: variables.host, port: variables.port)
            for write in acknowledged {
                let get = try Step(["method": "GET", "path": .string(write.path)]).request(variables)
                let answer = try await reader.send(get)
                #expect(answer.status == 200, "\(write.path)")
                let revision = try JSON(parsing: answer.body)["_rev"]?.stringValue
                #expect(revision == write.revision, "\(write.path)")
            }
        }
        #expect(try await server.stop() == 0)
    }

    /// Eight writers put documents, one by one and in bulk, until the server is gone; answers what was acknowledged.
    private func write(round: Int, _ variables: Variables, kill: @escaping @Sendable () async throws -> Void)
        async throws -> [Acknowledged]
    {
        try await withThrowingTaskGroup(of: [Acknowledged].self) { group in
            let (counts, source) = AsyncStream<Int>.makeStream()
            for writer in 0..<8 {
                group.addTask {
                    defer { source.finish() }
                    return await Self.put(writer: writer, round: round, variables) { source.yield($0) }
                }
            }
            group.addTask {
                // Once all are well under way.
                for await count in counts where count >= 20 { break }
                try await kill()
                return []
            }
            var all: [Acknowledged] = []
            for try await some in group { all += some }
            return all
        }
    }

    private static func put(
        writer: Int, round: Int, _ variables: Variables, progress: @Sendable (Int) -> Void
    ) async -> [Acknowledged] {
        let connection = RawConnection(host: variables.host, port: variables.port)
        var acknowledged: [Acknowledged] = []
        for number in 0... {
            let name = "r\(round)-w\(writer)-\(number)"
            var step: JSONObject = [
                "method": "PUT", "path": .string("/{{db}}/\(name)"), "body": ["n": .integer(number)],
            ]
            if writer.isMultiple(of: 2) {
                step = [
                    "method": "POST", "path": "/{{db}}/_bulk_docs",
                    "body": ["docs": [["_id": .string(name)], ["_id": .string(name + "-b")]]],
                ]
            }
            guard let request = try? Step(step).request(variables), let answer = try? await connection.send(request),
                answer.status == 201, let body = try? JSON(parsing: answer.body)
            else { return acknowledged }
            for row in body.arrayValue ?? [body] {
                guard let id = row["id"]?.stringValue, let revision = row["rev"]?.stringValue else { continue }
                acknowledged.append(Acknowledged(path: "/{{db}}/\(id)", revision: revision))
            }
            progress(number)
        }
        return acknowledged
    }
}
