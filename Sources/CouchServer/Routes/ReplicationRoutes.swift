import CouchDocument
import CouchStore

/// `_replicate` and `_scheduler`: asking for replications, and seeing how they do.
struct ReplicationRoutes: Sendable {
    let service: CouchService
    let call: Call
    private static let pageLimit = 100

    func replicate() async throws -> Answer {
        if call.account.name == nil { throw Refusal.unauthorized("You are not an authenticated user") }
        // What CouchDB 3.5 says of a GET.
        if call.isReading { throw Refusal.badRequest("Missing request body") }
        try call.allow("POST")
        return try await service.replication.replicate(.object(try await call.postedObject()), for: call.account)
    }

    /// `_scheduler/jobs[/{id}]` and `_scheduler/docs[/{database}[/{doc}]]`.
    func scheduler() async throws -> Answer? {
        let segments = call.path.segments
        guard segments.count > 1, segments[1] == "jobs" || segments[1] == "docs" else { return nil }
        try call.allow("GET,HEAD")
        if !call.account.isServerAdmin { throw Refusal.notServerAdmin }
        switch (segments[1], segments.count) {
        case ("jobs", 2): return page("jobs", of: await service.replication.jobs())
        case ("jobs", 3):
            // A plus sign in a path is a space to CouchDB's decoder, and every id of a continuous job has one.
            let id = segments[2].replacing(" ", with: "+")
            guard let job = await service.replication.job(id) else { throw Refusal.notFound() }
            return .json(200, .object(job))
        case ("docs", 2): return page("docs", of: try await documents(in: "_replicator"))
        case ("docs", _): return try await documents(segments[2...])
        default: throw Refusal.notFound()
        }
    }

    /// The name of a database, in which slashes may stand as they are, and perhaps the id of a document.
    private func documents(_ place: ArraySlice<String>) async throws -> Answer {
        guard let end = place.firstIndex(where: DatabaseName.isReplicator), place.endIndex - end <= 2 else {
            throw Refusal.badRequest("Invalid path")
        }
        let name = place[...end].joined(separator: "/")
        if end == place.endIndex - 1 { return page("docs", of: try await documents(in: name)) }
        guard let stored = try await service.store.database(name)?.read(place[end + 1]), !stored.isDeleted,
            let page = await service.replication.page(of: stored.document(), in: name)
        else { throw Refusal.notFound() }
        return .json(200, .object(page))
    }

    private func page(_ name: String, of rows: [JSONObject]) -> Answer {
        let skip = min(max(0, call.query["skip"].flatMap { Int($0) } ?? 0), rows.count)
        let limit = max(0, call.query["limit"].flatMap { Int($0) } ?? Self.pageLimit)
        let shown = rows[skip...].prefix(limit).map { JSON.object($0) }
        return .json(
            200, ["total_rows": .integer(rows.count), "offset": .integer(skip), .init(name): .array(Array(shown))])
    }

    /// What becomes of the documents, only those in the states of `states=` when there is one.
    private func documents(in name: String) async throws -> [JSONObject] {
        guard let database = try await service.store.database(name) else { return [] }
        let wanted = call.query["states"].map { $0.split(separator: ",").map(String.init) } ?? []
        var query = AllDocumentsQuery(limit: Int.max)
        query.includesBodies = true
        var pages: [JSONObject] = []
        for stored in try await database.allDocuments(query).documents {
            guard let page = await service.replication.page(of: stored.document(), in: name) else { continue }
            if wanted.isEmpty || page["state"]?.stringValue.map(wanted.contains) == true { pages.append(page) }
        }
        return pages
    }
}
