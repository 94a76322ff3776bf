import CouchDocument

/// How a worker gives a file back.
public enum FileResult: Hashable, Sendable {
    /// It was processed.
    case done
    /// It was not, and somebody may try again: it goes behind those that were tried less often.
    case retry
    /// It was not, and nobody is to try again.
    case failed
}

// What happens to a file in its life, as changes of the document alone.
extension Project.FileHandle {
    /// The end of a reservation that has none.
    static let never = Timestamp(seconds: 253_402_300_799)

    /// The claim by which a worker takes the file: not yet written.
    ///
    /// - Parameter timeout: After so long others may have it; `nil` never.
    func claim(by worker: String, timeout: Duration?, at now: Timestamp) -> ClaimedToken {
        let identity = WorkerIdentity(name: worker, hostname: worker)
        let lease = Lease(
            id: Pool.newLeaseID(), worker: worker, since: now.seconds, until: timeout.map { now + $0 } ?? Self.never)
        var handle = self
        handle.token.claim(lease: lease, by: identity)
        handle.token.pool.members["reserved"] = now.json
        handle.changed = now
        return ClaimedToken(token: handle.token, lease: lease, worker: identity)
    }

    /// The claim under which it is held, as the document says. `nil` when nobody holds it.
    var claim: ClaimedToken? {
        guard let lease = token.lease else { return nil }
        return ClaimedToken(
            token: token, lease: lease, worker: WorkerIdentity(name: lease.worker, hostname: token.hostname))
    }

    /// Reserved → done, initial or failed. One that has had as many tries as it may fails.
    mutating func release(_ result: FileResult, at now: Timestamp) {
        let outcome: Attempt.Outcome = result == .done ? .done : .failed
        endTry(outcome, at: now)
        switch result {
        case .done: end(exitCode: 0, at: now)
        case .failed: end(exitCode: 1, at: now)
        case .retry: if hasTriesLeft { putBack(at: now) } else { end(exitCode: 1, at: now) }
        }
    }

    /// Reserved → initial, or failed where the project wants it so: its worker had it for too long. Counted in the
    /// attribute `timeouts`.
    mutating func timeOut(at now: Timestamp) {
        endTry(.lapsed, at: now)
        attributes["timeouts"] = .integer((attributes["timeouts"]?.intValue ?? 0) + 1)
        if token["pool"]?["on_timeout"] != "fail", hasTriesLeft {
            putBack(at: now)
        } else {
            end(exitCode: 1, at: now)
        }
    }

    /// Any → initial, tries and time-outs kept.
    mutating func restart(at now: Timestamp) {
        if state == .reserved { endTry(.reset, at: now) }
        putBack(at: now)
    }

    private var hasTriesLeft: Bool { token.pool.maxAttempts.map { attempts < $0 } ?? true }

    private mutating func endTry(_ outcome: Attempt.Outcome, at now: Timestamp) {
        if let lease = token.lease {
            token.pool.history.append(
                Attempt(
                    lease: lease.id, worker: lease.worker, host: token.hostname,
                    started: reservedSince ?? Timestamp(seconds: lease.since), ended: now, outcome: outcome))
        }
        token.pool.lease = nil
        token.hostname = ""
        changed = now
    }

    private mutating func putBack(at now: Timestamp) {
        token.putBack(notBefore: nil)
        changed = now
    }

    private mutating func end(exitCode: Int, at now: Timestamp) {
        token.exitCode = .integer(exitCode)
        token.done = now.seconds
    }
}
