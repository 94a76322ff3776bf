import CouchDB
import CouchDocument
import TokenPool

/// Says who sees to a storage element's tape: one at a time, so that nothing is asked for twice.
///
/// A document with an end, which its holder moves on. Whoever finds that it has passed may take it.
struct StagingLease: Sendable {
    private let database: Database
    private let rse: String
    private let holder: String
    private let length: Duration
    private var until: Timestamp?

    init(_ database: Database, rse: String, holder: String, length: Duration) {
        self.database = database
        self.rse = rse
        self.holder = holder
        self.length = length
    }

    /// Whether it is ours for long enough that a request begun now ends before it.
    func isSafe(at now: Timestamp) -> Bool { until.map { now + length * 0.5 <= $0 } ?? false }

    /// Takes it, or keeps it.
    ///
    /// - Returns: Whether it is ours.
    mutating func hold(at now: Timestamp) async throws -> Bool {
        if let until, now + length * 0.75 <= until { return true }
        let id = "tape_" + rse
        var document =
            try await database.documentIfPresent(id)
            ?? Document(id: id, fields: ["type": "tape", "rse": .string(rse)])
        let isOurs = document["holder"]?.stringValue == holder
        guard isOurs || (Timestamp(document["until"]) ?? now) <= now else {
            until = nil
            return false
        }
        document["holder"] = .string(holder)
        document["until"] = (now + length).json
        do {
            try await database.save(document)
            until = now + length
            return true
        } catch CouchDBError.conflict {
            until = nil
            return false
        }
    }

    /// Gives it back, so that nobody need wait for its end.
    mutating func release(at now: Timestamp) async throws {
        guard until != nil else { return }
        until = nil
        guard var document = try await database.documentIfPresent("tape_" + rse),
            document["holder"]?.stringValue == holder
        else { return }
        document["until"] = now.json
        do { try await database.save(document) } catch CouchDBError.conflict {
            // Somebody has it already.
        }
    }
}
