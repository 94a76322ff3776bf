import CouchDocument

/// A token that a worker holds, with the lease under which it does.
public struct ClaimedToken: Hashable, Sendable {
    /// The token as last written by its holder.
    public internal(set) var token: Token
    /// The lease; its end moves with every renewal.
    public internal(set) var lease: Lease
    /// The holder.
    public let worker: WorkerIdentity

    /// The number of this try; 1 is the first.
    public var attempt: Int { token.pool.attempts }

    /// Whether the document, as it stands now, still says that this claim holds it.
    ///
    /// A worker that knows no leases leaves ours in place and writes its own `lock` and `hostname`: then it holds it.
    public func isHeld(in current: Token) -> Bool {
        current.lease?.id == lease.id && current.hostname == worker.hostname
    }

    /// Whether the document says that its holder brought this claim to an end: an answer that was lost on the way.
    public func isFinished(in current: Token) -> Bool {
        current.pool.history.contains { attempt in
            attempt.lease == lease.id && attempt.outcome != .lapsed && attempt.outcome != .reset
        }
    }
}

extension ClaimedToken {
    /// Takes in that a file was attached, so that the next write of the token keeps it.
    package mutating func noteAttachment(_ name: String, contentType: String, length: Int, _ revision: Revision) {
        token.revision = revision
        token.document.attachments[name] = [
            "content_type": .string(contentType), "revpos": .integer(revision.generation), "length": .integer(length),
            "stub": true,
        ]
    }
}
