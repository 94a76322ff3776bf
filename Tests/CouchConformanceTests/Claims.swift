/// Which recordings `tokenpoold` does not claim to answer as CouchDB does, and why. `docs/couchdb-compatibility.md` tells
/// the same to users; what is not in these lists is tested.
enum Claims {
    /// Subjects that are not played.
    struct Gap: Sendable {
        let subject: String
        let reason: String
    }

    /// A step that is played and may differ.
    struct Difference: Sendable {
        let subject: String
        let scenario: String
        let step: Int
        let reason: String
    }

    static let notYet: [Gap] = [
        Gap(subject: "find", reason: "Mango queries come later"),
        Gap(subject: "partitioned", reason: "a single store has no partitions"),
        Gap(subject: "replicator", reason: "the store is a peer of replication, not yet its driver"),
    ]

    static let differences: [Difference] = [
        Difference(
            subject: "attachments", scenario: "ranges", step: 8,
            reason: "the last 100 bytes of 20 are all 20; CouchDB leaves out the first"),
        Difference(
            subject: "attachments", scenario: "refused", step: 5,
            reason: "an attachment that is no object is refused, where CouchDB stores a document without it"),
        Difference(
            subject: "attachments", scenario: "refused", step: 7,
            reason: "an attachment without a name is refused: no path leads to it"),
        Difference(
            subject: "validate_doc_update", scenario: "refusing a document", step: 14,
            reason: "batch=ok is written at once, so a conflict is told instead of forgotten"),
        Difference(
            subject: "revs", scenario: "join of two branches of different age", step: 3,
            reason: "a stemmed branch is not joined with an older one that brings its ancestors"),
        Difference(
            subject: "revs", scenario: "join of two branches of different age", step: 5,
            reason: "a stemmed branch is not joined with an older one that brings its ancestors"),
        Difference(
            subject: "revs", scenario: "join of two branches of different age", step: 6,
            reason: "a stemmed branch is not joined with an older one that brings its ancestors"),
    ]

    static func covers(_ scenario: Scenario) -> Bool { !notYet.contains { $0.subject == scenario.subject } }

    static func allows(_ step: Int, of scenario: Scenario) -> Bool {
        differences.contains { $0.subject == scenario.subject && $0.scenario == scenario.name && $0.step == step }
    }
}
