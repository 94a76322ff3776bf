import CouchDocument
import CouchStore
import HTTPTypes

/// `/{db}/_design/{name}/_…`: what a design document's functions answer.
struct DesignRoutes: Sendable {
    let here: DatabaseCall
    /// With its `_design/`.
    let id: String

    /// `nil`: no such page, so the path is one of an attachment.
    func answer() async throws -> Answer? {
        let segments = here.call.path.segments
        switch segments[3] {
        case "_view" where segments.count == 4: throw Refusal.methodNotAllowed("GET,POST,HEAD")
        case "_view": return try await ViewRoutes(here: here, id: id).answer()
        case "_info" where segments.count == 4:
            try here.call.allow("GET")
            return try await info()
        case "_update": return try await UpdateRoutes(here: here, id: id).answer()
        case "_show", "_list": return try await ShowRoutes(here: here, id: id).answer()
        case "_rewrite": return try await RewriteRoutes(here: here, id: id).answer()
        default: return nil
        }
    }

    /// The design document of that id.
    static func design(_ id: String, in database: StoredDatabase) async throws -> DesignDocument {
        if let kept = try await database.designDocuments().first(where: { $0.document.id == id }) { return kept }
        guard let stored = try await database.read(id) else { throw Refusal.notFound() }
        if stored.isDeleted { throw Refusal.notFound("deleted") }
        guard let design = DesignDocument(stored.document()) else { throw Refusal.notFound() }
        return design
    }

    private func info() async throws -> Answer {
        let design = try await Self.design(id, in: here.database)
        let index = try await here.database.views.information(design: design)
        let view: JSON = [
            "signature": .string(index.signature), "language": .string(index.language),
            "sizes": [
                "file": .integer(index.sizes.file), "external": .integer(index.sizes.external),
                "active": .integer(index.sizes.active),
            ],
            "updater_running": .bool(index.isUpdating), "compact_running": .bool(index.isCompacting),
            "waiting_clients": .integer(index.waitingClients), "waiting_commit": false,
            "update_seq": .integer(index.updateSequence), "purge_seq": 0,
            "updates_pending": [
                "minimum": .integer(index.updatesPending), "preferred": .integer(index.updatesPending),
                "total": .integer(index.updatesPending),
            ],
            "collator_versions": [.string(index.collatorVersion)],
        ]
        return .json(200, ["name": .string(design.name), "view_index": view])
    }
}
