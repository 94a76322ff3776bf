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
        let goesBack = result == .retry && hasTriesLeft
        endTry(result == .done ? .done : .failed, goesBack, at: now)
        if goesBack { putBack(at: now) } else { end(exitCode: result == .done ? 0 : 1, at: now) }
    }

    /// Reserved → initial, or failed where the project wants it so: its worker had it for too long. Counted in the
    /// attribute `timeouts`.
    mutating func timeOut(at now: Timestamp) {
        let goesBack = token["pool"]?["on_timeout"] != "fail" && hasTriesLeft
        endTry(.lapsed, goesBack, at: now)
        attributes["timeouts"] = .integer((attributes["timeouts"]?.intValue ?? 0) + 1)
        if goesBack { putBack(at: now) } else { end(exitCode: 1, at: now) }
    }

    /// Any → initial, tries and time-outs kept.
    mutating func restart(at now: Timestamp) {
        switch state {
        case .reserved: endTry(.reset, true, at: now)
        case .done, .failed:
            // No try, but something that happened.
            token.pool.history.append(
                Attempt(lease: "", worker: "", host: "", started: now, ended: now, outcome: .reset))
        case .initial: break
        }
        putBack(at: now)
    }

    private var hasTriesLeft: Bool { token.pool.maxAttempts.map { attempts < $0 } ?? true }

    private mutating func endTry(_ outcome: Attempt.Outcome, _ goesBack: Bool, at now: Timestamp) {
        if let lease = token.lease {
            token.pool.history.append(
                Attempt(
                    lease: lease.id, worker: lease.worker, host: token.hostname,
                    started: reservedSince ?? Timestamp(seconds: lease.since), ended: now, outcome: outcome,
                    reason: goesBack && outcome != .reset ? Attempt.putBack : nil))
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
