import CouchDocument
import CouchStore
import HTTPTypes

/// A request to a database that exists, and the choice of what answers it.
struct DatabaseCall: Sendable {
    let service: CouchService
    let call: Call
    let database: StoredDatabase
    let security: SecurityObject

    init(service: CouchService, call: Call, database: StoredDatabase) {
        self.service = service
        self.call = call
        self.database = database
        security = SecurityObject(.object(database.security))
    }

    var account: Account { call.account }
    var isUsers: Bool { database.name == "_users" }
    var isReplicator: Bool { DatabaseName.isReplicator(database.name) }
    var isDatabaseAdmin: Bool { security.isAdministrator(account) }

    func requireServerAdmin() throws(Refusal) {
        if !account.isServerAdmin { throw .notServerAdmin }
    }

    /// For `_compact` and its like.
    func requireDatabaseAdmin() throws(Refusal) {
        if !isDatabaseAdmin { throw .unauthorized("You are not a server or db admin.") }
    }

    /// Routes a path below the database.
    func answer() async throws -> Answer {
        let segments = call.path.segments
        let page = segments.count > 1 ? segments[1] : ""
        if isUsers && !account.isServerAdmin
            && ["_all_docs", "_changes", "_find", "_design_docs", "_local_docs", "_bulk_get", "_index", "_explain"]
                .contains(page)
        {
            throw Refusal.notServerAdmin
        }
        if isReplicator && !isDatabaseAdmin && !ReplicatorDocuments.isOpen(call) { throw Refusal.notServerAdmin }
        if page == "_purge" { try requireServerAdmin() }
        try security.requireMember(account)
        if segments.count == 1 { return try await DatabaseRoutes(here: self).answer() }
        guard page.hasPrefix("_") else { return try await document(id: page, rest: segments.dropFirst(2)) }
        switch page {
        case "_design", "_local": return try await special(page)
        case "_all_docs", "_design_docs", "_local_docs":
            // Anything else below them is taken for an attachment, as CouchDB does.
            guard segments.count == 2 || segments[2...] == ["queries"] else { break }
            return try await AllDocumentsRoutes(here: self).answer()
        case "_bulk_docs", "_bulk_get": return try await BulkRoutes(here: self).answer()
        case "_revs_diff", "_missing_revs", "_purge": return try await RevisionRoutes(here: self).answer()
        case "_changes": return try await ChangesRoutes(here: self).answer()
        case "_security": return try await SecurityRoutes(here: self).answer()
        case "_revs_limit", "_purged_infos_limit", "_compact", "_view_cleanup", "_ensure_full_commit", "_temp_view",
            "_shards", "_sync_shards":
            return try await MaintenanceRoutes(here: self).answer()
        case "_find", "_explain": return try await FindRoutes(here: self).answer()
        case "_index": return try await IndexRoutes(here: self).answer()
        case "_partition": return try await PartitionRoutes(here: self).answer()
        default: if page.hasPrefix("_design/") { return redirect() }
        }
        return try await document(id: page, rest: segments.dropFirst(2))
    }

    /// `_design/name/…` and `_local/name/…`.
    private func special(_ kind: String) async throws -> Answer {
        let segments = call.path.segments
        guard segments.count > 2 else { return try await document(id: kind, rest: []) }
        let id = "\(kind)/\(segments[2])"
        if kind == "_design", segments.count > 3, segments[3].hasPrefix("_") {
            if let answer = try await DesignRoutes(here: self, id: id).answer() { return answer }
        }
        return try await document(id: id, rest: segments.dropFirst(3))
    }

    /// `_design%2Fname`: CouchDB sends clients to the address with the slash.
    private func redirect() -> Answer {
        let path = call.target.replacing("_design%2F", with: "_design/", maxReplacements: 1)
            .replacing("_design%2f", with: "_design/", maxReplacements: 1)
        return Answer(301, contentType: nil, .bytes([])).with(.location, call.base + path)
    }

    private func document(id: String, rest: ArraySlice<String>) async throws -> Answer {
        if rest.isEmpty { return try await DocumentRoutes(here: self, id: id).answer() }
        return try await AttachmentRoutes(here: self, id: id, name: rest.joined(separator: "/")).answer()
    }
}
