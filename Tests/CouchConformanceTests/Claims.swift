/// Which recordings `tokenpoold` does not claim to answer as CouchDB does, and why. `docs/couchdb-compatibility.md` tells
/// the same to users; what is not in this list is tested.
enum Claims {
    struct Gap: Sendable {
        let subject: String
        /// `nil`: all of the subject.
        let scenario: String?
        let reason: String
    }

    static let notYet: [Gap] = [
        Gap(subject: "find", scenario: nil, reason: "Mango queries come later"),
        Gap(subject: "partitioned", scenario: nil, reason: "a single store has no partitions"),
        Gap(subject: "replicator", scenario: nil, reason: "the store is a peer of replication, not yet its driver"),
        Gap(subject: "cors", scenario: nil, reason: "no browsers are served yet"),
    ]

    static func covers(_ scenario: Scenario) -> Bool {
        !notYet.contains { $0.subject == scenario.subject && ($0.scenario == nil || $0.scenario == scenario.name) }
    }
}
