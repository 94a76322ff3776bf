import CouchDocument
import CouchStore
import Logging

/// The settings and the housekeeping of a database.
struct MaintenanceRoutes: Sendable {
    let here: DatabaseCall
    private static let purgedInfosSection = "purged_infos_limits"

    func answer() async throws -> Answer {
        let call = here.call
        switch call.path.segments[1] {
        case "_revs_limit": return try await revisionsLimit()
        case "_purged_infos_limit": return try await purgedInfosLimit()
        case "_compact":
            try call.allow("POST")
            try here.requireDatabaseAdmin()
            try call.requireJSONContent()
            if call.path.segments.count > 2 {
                let design = try await DesignRoutes.design("_design/\(call.path.segments[2])", in: here.database)
                start("compact a view index") { try await $0.views.compact(design: design) }
            } else {
                start("compact a database") { try await $0.compact() }
            }
            return .json(202, ["ok": true])
        case "_view_cleanup":
            try call.allow("POST")
            try here.requireDatabaseAdmin()
            try call.requireJSONContent()
            try await here.database.views.cleanup(keeping: here.database.designDocuments())
            return .json(202, ["ok": true])
        case "_ensure_full_commit":
            try call.allow("POST")
            try call.requireJSONContent()
            // Every write was on disk before it was answered.
            return .json(201, ["ok": true, "instance_start_time": .string(here.database.instanceStartTime)])
        case "_temp_view":
            throw Refusal(410, "gone", "Temporary views are not supported in CouchDB")
        default: throw Self.notYet("shards")
        }
    }

    private static func notYet(_ what: String) -> Refusal {
        Refusal(501, "not_implemented", "\(what) are not supported by this server yet")
    }

    /// Begins what goes on after the answer.
    private func start(_ attempt: String, _ body: @escaping @Sendable (StoredDatabase) async throws -> Void) {
        let database = here.database
        let logger = here.service.logger
        Task {
            do {
                try await body(database)
            } catch {
                logger.error(
                    "work in the background failed",
                    metadata: ["attempt": "\(attempt)", "database": "\(database.name)", "error": "\(error)"])
            }
        }
    }

    private func revisionsLimit() async throws -> Answer {
        switch here.call.method {
        case "GET", "HEAD": return .json(200, .integer(here.database.revisionsLimit))
        case "PUT":
            // CouchDB crashes on both; the words are its own for other settings.
            guard here.isDatabaseAdmin else {
                throw Refusal(500, "unauthorized", "You are not a db or server admin.")
            }
            guard let limit = try await here.call.json().intValue, limit > 0 else {
                throw Refusal(500, "bad_request", "`revs_limit` must be a positive integer")
            }
            try await here.database.setRevisionsLimit(limit)
            return .ok
        default: throw Refusal.methodNotAllowed("PUT,GET")
        }
    }

    /// Kept for clients that set it; purges are not remembered one by one here.
    private func purgedInfosLimit() async throws -> Answer {
        let settings = here.service.settings
        let name = here.database.name
        switch here.call.method {
        case "GET", "HEAD":
            return .json(200, .integer(settings[Self.purgedInfosSection, name].flatMap { Int($0) } ?? 1000))
        case "PUT":
            if !here.isDatabaseAdmin { throw Refusal.unauthorized("You are not a db or server admin.") }
            guard let limit = try await here.call.json().intValue, limit > 0 else {
                throw Refusal.badRequest("`purged_infos_limit` must be positive integer")
            }
            _ = try settings.set(Self.purgedInfosSection, name, to: String(limit))
            return .ok
        default: throw Refusal.methodNotAllowed("PUT,GET")
        }
    }
}
