import CouchDocument
import CouchStore

/// `/{db}/_partition/{name}`: what is in one partition, and the pages that can be asked about it alone.
struct PartitionRoutes: Sendable {
    let here: DatabaseCall

    func answer() async throws -> Answer {
        let segments = here.call.path.segments
        guard segments.count > 2 else { throw Refusal.badRequest("invalid_partition_req") }
        let name = segments[2]
        if segments.count == 3 {
            try here.call.allow("GET")
            try Partition.check(name)
            try requirePartitions()
            return try await info(name)
        }
        try requirePartitions()
        try Partition.check(name)
        if let stated = here.call.query["partition"], stated != name {
            throw Refusal.badRequest("Conflicting value for `partition` in query string")
        }
        let page = Array(segments[3...])
        let isKnown =
            ["_all_docs", "_find", "_explain", "_index"].contains(page[0])
            || page[0] == "_design" && page.count > 2 && page[2].hasPrefix("_")
        guard isKnown else { throw Refusal.notFound() }
        var call = here.call
        call.path = RequestPath(segments: [segments[0]] + page)
        call.query = Query(items: call.query.items + [("partition", name)])
        return try await DatabaseCall(service: here.service, call: call, database: here.database).answer()
    }

    private func requirePartitions() throws(Refusal) {
        if !here.database.isPartitioned { throw .badRequest("database is not partitioned") }
    }

    private func info(_ name: String) async throws -> Answer {
        let info = try await here.database.partition(name)
        return .json(
            200,
            [
                "db_name": .string(here.database.name),
                "sizes": ["active": .integer(info.size), "external": .integer(info.size)],
                "partition": .string(name), "doc_count": .integer(info.documentCount),
                "doc_del_count": .integer(info.deletedCount),
            ])
    }
}
