/// A document that asks for a replication, by its place.
struct ReplicatorDocument: Hashable, Sendable {
    /// `_replicator`, or one whose name ends in `/_replicator`.
    let database: String
    let id: String
}
