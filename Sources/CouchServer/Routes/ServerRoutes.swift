import CouchDocument
import CouchStore
import Crypto
import HTTPTypes

/// The paths that belong to the server and to no database.
struct ServerRoutes: Sendable {
    let service: CouchService
    let call: Call

    /// The answer of a path whose first segment starts with `_`; `nil` when no such page exists.
    func answer() async throws -> Answer? {
        let segments = call.path.segments
        switch (segments[0], segments.count) {
        case ("_up", 1):
            try call.allow("GET,HEAD")
            return .json(200, ["status": "ok", "seeds": [:]])
        case ("_uuids", 1): return try uuids()
        case ("_session", 1): return try await SessionRoutes(service: service, call: call).answer()
        case ("_all_dbs", 1): return try allDatabases()
        case ("_dbs_info", 1): return try await databasesInfo()
        case ("_active_tasks", 1):
            try call.allow("GET,HEAD")
            try requireAdmin()
            return await ActiveTasks(service: service).answer()
        case ("_membership", 1):
            try call.allow("GET,HEAD")
            try requireAdmin()
            let nodes: JSON = [.string(CouchService.nodeName)]
            return .json(200, ["all_nodes": nodes, "cluster_nodes": nodes])
        case ("_replicate", 1): return try await ReplicationRoutes(service: service, call: call).replicate()
        case ("_db_updates", 1): return try await DatabaseUpdatesRoutes(service: service, call: call).answer()
        case ("_scheduler", _): return try await ReplicationRoutes(service: service, call: call).scheduler()
        case ("_cluster_setup", 1): return try await clusterSetup()
        case ("_node", _): return try await NodeRoutes(service: service, call: call).answer()
        default: return nil
        }
    }

    /// `/`.
    func welcome() throws -> Answer {
        try call.allow("GET,HEAD")
        return .json(
            200,
            [
                "couchdb": "Welcome", "version": .string(CouchService.couchVersion), "git_sha": "tokenpool",
                "uuid": .string(service.store.uuid), "features": [],
                "vendor": ["name": "tokenpool", "version": .string(CouchService.productVersion)],
            ])
    }

    func requireAdmin() throws(Refusal) {
        if !call.account.isServerAdmin { throw .notServerAdmin }
    }

    private func uuids() throws -> Answer {
        try call.allow("GET,HEAD")
        let count: Int
        switch call.query["count"] {
        case nil: count = 1
        case let text?:
            guard let number = Int(text), number >= 0 else {
                throw Refusal.badRequest("count must be a positive integer")
            }
            count = number
        }
        if count > 1000 { throw Refusal.badRequest("count parameter too large") }
        let list = (0..<count).map { _ in JSON.string(service.uuids.next()) }
        var answer = Answer.json(200, ["uuids": .array(list)])
        answer.headers[.cacheControl] = "no-cache"
        answer.headers[.pragma] = "no-cache"
        answer.headers[.expires] = "Mon, 01 Jan 1990 00:00:00 GMT"
        answer.headers[.eTag] = "\"\(service.uuids.next())\""
        return answer
    }

    private func allDatabases() throws -> Answer {
        try call.allow("GET,HEAD")
        try requireAdmin()
        var options = RowOptions()
        try options.read(call.query)
        let names = options.select(service.store.databaseNames())
        let answer = Answer.json(200, .array(names.map(JSON.string)))
        guard case .bytes(let bytes) = answer.body else { return answer }
        let tag = "\"\(hexadecimal(Insecure.MD5.hash(data: bytes)))\""
        return call.alreadyHas(tag) ? .notModified(tag) : answer.with(.eTag, tag)
    }

    private func databasesInfo() async throws -> Answer {
        try call.allow("GET,HEAD,POST")
        try requireAdmin()
        let names: [String]
        if call.isReading {
            var options = RowOptions()
            try options.read(call.query)
            names = options.select(service.store.databaseNames())
        } else {
            let body = try await call.postedObject()
            guard let keys = body["keys"] else { throw Refusal.badRequest("`keys` member must exist.") }
            guard let list = keys.arrayValue else { throw Refusal.badRequest("`keys` member must be an array.") }
            if list.count > 100 { throw Refusal.badRequest("too_many_keys") }
            names = list.compactMap(\.stringValue)
        }
        var rows: [JSON] = []
        for name in names {
            if let database = try await service.store.database(name) {
                let info = try await DatabaseRoutes.info(of: database)
                rows.append(["key": .string(name), "info": info])
            } else {
                rows.append(["key": .string(name), "error": "not_found"])
            }
        }
        return .json(200, .array(rows))
    }

    private func clusterSetup() async throws -> Answer {
        try call.allow("GET,HEAD,POST")
        try requireAdmin()
        if call.isReading { return .json(200, ["state": "single_node_enabled"]) }
        _ = try await call.postedObject()
        return .json(201, ["ok": true])
    }
}
