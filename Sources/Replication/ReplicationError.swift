/// Why a replication can not be, or stopped: an error word for programs and a reason for people, both without secrets.
package struct ReplicationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Such as `db_not_found`.
    package let word: String
    /// One line.
    package let reason: String
    /// Whether trying again can not help: the request itself is wrong.
    package let isFinal: Bool

    package init(_ word: String, _ reason: String, isFinal: Bool = false) {
        self.word = word
        self.reason = reason
        self.isFinal = isFinal
    }

    static func badRequest(_ reason: String) -> ReplicationError {
        ReplicationError("bad_request", reason, isFinal: true)
    }

    package var description: String { "\(word): \(reason)" }
}
