import CouchDocument

/// What is known of earlier runs: the `_local` document that both sides keep, in CouchDB's form.
struct Checkpoint: Sendable {
    /// How CouchDB 3 names its way of making ids.
    static let idVersion = 4
    /// The number of runs that are remembered.
    private static let longestHistory = 50

    /// Where the common history ends; `nil` is the beginning.
    var since: String?
    /// The entries up to there, the newest first.
    var history: [JSON]

    /// Compares what the two sides remember.
    ///
    /// With the same session in both, all of it counts. Otherwise — one side was restored or written to by an
    /// interrupted run — the newest session that both know does.
    init(source: JSONObject?, target: JSONObject?) {
        since = nil
        history = []
        guard let source, let target else { return }
        if let session = source["session_id"], session == target["session_id"] {
            since = Self.sequence(source["source_last_seq"])
            history = source["history"]?.arrayValue ?? []
            return
        }
        let theirs = target["history"]?.arrayValue ?? []
        let ours = source["history"]?.arrayValue ?? []
        for (index, entry) in ours.enumerated() {
            guard let session = entry["session_id"], theirs.contains(where: { $0["session_id"] == session }) else {
                continue
            }
            since = Self.sequence(entry["recorded_seq"])
            history = Array(ours[index...])
            return
        }
    }

    /// Sequences are texts in CouchDB 2 and later, numbers before; 0 is the beginning.
    static func sequence(_ value: JSON?) -> String? {
        guard let value, !value.isNull, value != 0 else { return nil }
        return value.stringValue ?? value.description
    }

    static func json(_ sequence: String?) -> JSON { sequence.map(JSON.string) ?? 0 }

    /// One run, as it goes into the history.
    struct Session: Sendable {
        let id: String
        let started: UTCTime
        let startSequence: String?

        func entry(until sequence: String?, at time: UTCTime, _ statistics: ReplicationStatistics) -> JSONObject {
            var entry: JSONObject = [
                "session_id": .string(id), "start_time": .string(started.http), "end_time": .string(time.http),
                "start_last_seq": Checkpoint.json(startSequence), "end_last_seq": Checkpoint.json(sequence),
                "recorded_seq": Checkpoint.json(sequence),
            ]
            entry.merge(statistics.historyMembers)
            return entry
        }
    }

    /// The document's members after this run has come so far.
    ///
    /// - Parameter isByDocumentIDs: Such runs tell their figures at the top too, as CouchDB does since 1.0.
    func members(
        _ session: Session, until sequence: String?, at time: UTCTime, _ statistics: ReplicationStatistics,
        isByDocumentIDs: Bool
    ) -> JSONObject {
        var members: JSONObject = [
            "session_id": .string(session.id), "source_last_seq": Self.json(sequence),
            "replication_id_version": .integer(Self.idVersion),
        ]
        let entry = session.entry(until: sequence, at: time, statistics)
        if isByDocumentIDs {
            for name in ["start_time", "end_time", "docs_read", "docs_written", "doc_write_failures"] {
                members[name] = entry[name]
            }
        }
        members["history"] = .array(Array(([.object(entry)] + history).prefix(Self.longestHistory)))
        return members
    }
}
