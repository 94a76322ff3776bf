import CouchDocument

/// Who holds a token, and until when: `pool.lease`.
///
/// It speaks only of the lock that it was written with. When `lock` differs from ``since``, a worker that knows no
/// leases (PiCaS) took the token later, and the lease is a leftover.
public struct Lease: Hashable, Sendable {
    /// Names this one attempt; never used twice.
    public var id: String
    /// The worker that holds it.
    public var worker: String
    /// The value of `lock` that this lease belongs to.
    public var since: Int
    /// After this moment anybody may take the token back.
    public var until: Timestamp

    /// A lease of these parts.
    public init(id: String, worker: String, since: Int, until: Timestamp) {
        self.id = id
        self.worker = worker
        self.since = since
        self.until = until
    }

    /// Reads `pool.lease`. `nil` when it is not one.
    public init?(_ json: JSON?) {
        guard let id = json?["id"]?.stringValue, let until = Timestamp(json?["until"]) else { return nil }
        self.init(
            id: id, worker: json?["worker"]?.stringValue ?? "", since: json?["since"]?.intValue ?? 0, until: until)
    }

    /// As it stands in documents.
    public var json: JSON {
        ["id": .string(id), "worker": .string(worker), "since": .integer(since), "until": until.json]
    }

    /// Whether its time is over.
    public func isExpired(at now: Timestamp) -> Bool { until <= now }
}
