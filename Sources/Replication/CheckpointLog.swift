import CouchDB
import CouchDocument

/// The two `_local` documents of a replication: as they were found, and to be written again.
struct CheckpointLog: Sendable {
    /// What both agree on.
    let checkpoint: Checkpoint
    private let id: String
    private var sourceRevision: Revision?
    private var targetRevision: Revision?
    private let stored: JSONObject?

    /// - Parameter isKept: Whether checkpoints are used at all.
    static func read(_ id: String, source: Database, target: Database, isKept: Bool) async throws -> CheckpointLog {
        guard isKept else { return CheckpointLog(id: id, source: nil, target: nil) }
        return CheckpointLog(
            id: id, source: try await source.documentIfPresent("_local/\(id)"),
            target: try await target.documentIfPresent("_local/\(id)"))
    }

    private init(id: String, source: Document?, target: Document?) {
        self.id = "_local/\(id)"
        checkpoint = Checkpoint(source: source?.fields, target: target?.fields)
        sourceRevision = source?.revision
        targetRevision = target?.revision
        stored = source?.fields
    }

    /// What is told when there was nothing new.
    func storedMembers(_ since: String?) -> JSONObject {
        guard let stored, checkpoint.since != nil else {
            return [
                "session_id": .string(""), "source_last_seq": Checkpoint.json(since),
                "replication_id_version": .integer(Checkpoint.idVersion), "history": [],
            ]
        }
        return JSONObject(stored.filter { !$0.name.hasPrefix("_") }.map { ($0.name, $0.value) })
    }

    /// Writes both, the source's first: the target's is the one that says that all is there.
    mutating func write(_ members: JSONObject, source: Database, target: Database) async throws {
        sourceRevision = try await save(members, after: sourceRevision, to: source, side: "source")
        targetRevision = try await save(members, after: targetRevision, to: target, side: "target")
    }

    private func save(_ members: JSONObject, after revision: Revision?, to database: Database, side: String)
        async throws -> Revision
    {
        var document = Document(id: id, fields: members)
        document.revision = revision
        do {
            return try await database.save(document)
        } catch CouchDBError.conflict {
            // Our own write whose answer was lost, or that of a run which was cut off.
            guard let found = try await database.documentIfPresent(id) else {
                throw ReplicationError("checkpoint_commit_failure", "the checkpoint of the \(side) can not be written")
            }
            if found.fields["session_id"] == members["session_id"],
                found.fields["source_last_seq"] == members["source_last_seq"], let revision = found.revision
            {
                return revision
            }
            throw ReplicationError(
                "checkpoint_commit_failure", "the checkpoint of the \(side) was written by somebody else")
        }
    }
}
