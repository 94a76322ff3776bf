/// Which recordings `tokenpoold` does not claim to answer as CouchDB does, and why. `docs/couchdb-compatibility.md` tells
/// the same to users; what is not in these lists is tested.
enum Claims {
    /// Subjects that are not played.
    struct Gap: Sendable {
        let subject: String
        let reason: String
    }

    static let notYet: [Gap] = [
        Gap(subject: "replicator", reason: "the store is a peer of replication, not yet its driver")
    ]

    static func covers(_ scenario: Scenario) -> Bool { !notYet.contains { $0.subject == scenario.subject } }
}
