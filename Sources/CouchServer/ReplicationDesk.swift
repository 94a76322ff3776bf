import CouchDocument

/// Who replicates for the server: the routes ask here, and know nothing of how it is done.
package protocol ReplicationDesk: Sendable {
    /// Answers `POST /_replicate`.
    ///
    /// - Throws: ``Refusal`` when it can not be.
    func replicate(_ body: JSON, for account: Account) async throws -> Answer
    /// The entries of `_scheduler/jobs`, by id.
    func jobs() async -> [JSONObject]
    /// One of them.
    func job(_ id: String) async -> JSONObject?
    /// What `_scheduler/docs` tells of a document in `_replicator` or its like; `nil` when it is no replication.
    func page(of document: Document, in database: String) async -> JSONObject?
    /// The entries of `_active_tasks`.
    func tasks() async -> [JSONObject]
}
