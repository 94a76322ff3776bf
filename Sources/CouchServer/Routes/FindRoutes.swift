import CouchDocument
import CouchStore
import Hummingbird

/// `/{db}/_find` and `_explain`: Mango queries.
struct FindRoutes: Sendable {
    let here: DatabaseCall

    func answer() async throws -> Answer {
        let call = here.call
        try call.allow("POST")
        var body = try await call.postedObject()
        if let partition = call.query["partition"] {
            if let stated = body["partition"], stated != .string(partition) {
                throw Refusal.badRequest("Conflicting value for `partition` in query string")
            }
            body["partition"] = .string(partition)
        }
        let query = try FindQuery(body)
        if call.path.segments[1] == "_explain" {
            return .json(200, try await FindExplanation.json(query, in: here.database))
        }
        return try await find(query)
    }

    private func find(_ query: FindQuery) async throws -> Answer {
        let clock = ContinuousClock()
        let start = clock.now
        var run = try await FindRun(query, in: here.database)
        // Before the answer begins, so that what goes wrong has its status.
        let first = try await run.next()
        let begun = run
        return .json(200) { writer in
            var run = begun
            var piece = first
            var text = JSONWriter()
            text.raw("{\"docs\":[")
            var isFirst = true
            while let documents = piece {
                for document in documents {
                    text.raw(isFirst ? "\r\n" : ",\r\n")
                    isFirst = false
                    text.raw(document)
                }
                if !text.bytes.isEmpty { try await writer.write(ByteBuffer(bytes: text.take())) }
                piece = try await run.next()
            }
            text.raw("\r\n]")
            func add(_ name: String, _ value: JSON) {
                text.raw(",\r\n")
                text.write(name)
                text.raw(": ")
                text.write(value)
            }
            if let bookmark = run.bookmark { add("bookmark", .string(bookmark)) }
            if query.wantsStatistics {
                add("execution_stats", Self.json(run.statistics, (clock.now - start) / .milliseconds(1)))
            }
            if let warning = run.warning { add("warning", .string(warning)) }
            text.raw("}\r\n")
            try await writer.write(ByteBuffer(bytes: text.take()))
        }
    }

    private static func json(_ statistics: FindRun.Statistics, _ milliseconds: Double) -> JSON {
        [
            "total_keys_examined": .integer(statistics.keys), "total_docs_examined": .integer(statistics.documents),
            // A single store has no other copies to ask.
            "total_quorum_docs_examined": 0, "results_returned": .integer(statistics.results),
            "execution_time_ms": JSON.double(milliseconds) ?? 0,
        ]
    }
}
