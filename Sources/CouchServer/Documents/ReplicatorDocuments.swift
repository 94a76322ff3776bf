import CouchDocument
import CouchStore

/// The rules of `_replicator`: a replication acts in the name of who wrote its document, so the document says who that is,
/// and nobody but the server's and the database's admins sees what another wrote: there are passwords in it.
struct ReplicatorDocuments: Sendable {
    let here: DatabaseCall
    private static let owner = "owner"

    /// The replicator itself, which leaves the owner as it is.
    private var isReplicator: Bool { here.account.roles.contains("_replicator") }

    /// What those who are no admins may ask for: single documents.
    static func isOpen(_ call: Call) -> Bool {
        let segments = call.path.segments
        if segments.count == 1 { return ["GET", "HEAD", "POST"].contains(call.method) }
        return segments.count == 2 && !segments[1].hasPrefix("_")
            || segments.count == 2 && segments[1] == "_security" && call.isReading
    }

    /// Refuses to show or delete another's document, without telling whether it exists.
    func requireOwned(_ id: String) async throws {
        if here.isDatabaseAdmin { return }
        guard let stored = try await here.database.read(id) else { return }
        let fields = stored.document().fields
        // A tombstone has no owner, and nothing to hide.
        if stored.isDeleted || fields[Self.owner]?.stringValue == here.account.name { return }
        throw Refusal.notFound()
    }

    /// Says in a document whose it is.
    func prepare(_ edit: Edit) async throws -> Edit {
        if isReplicator || edit.isDeleted && here.isDatabaseAdmin { return edit }
        guard let name = here.account.name else {
            throw Refusal.unauthorized("You are not an authenticated user")
        }
        try await requireOwned(edit.id)
        if edit.isDeleted { return edit }
        var edit = edit
        switch edit.body[Self.owner] {
        case nil, .null?: edit.body[Self.owner] = .string(name)
        case .string(name)?: break
        default:
            if !here.isDatabaseAdmin {
                throw Refusal.forbidden("Can't update replication documents from other users.")
            }
        }
        // Only a server admin can lend another's name.
        if !here.account.isServerAdmin { edit.body[Self.owner] = .string(name) }
        return edit
    }
}
