import CouchDB
import CouchDocument

extension Pool {
    /// How the renewal of a claim went.
    public enum Renewal: Sendable {
        /// The lease has its new end.
        case renewed(ClaimedToken)
        /// Somebody else moved the token on; theirs, or `nil` when it was deleted.
        case lost(Token?)
        /// The server did not take this one; the claim may still hold the token.
        case failed(any Error)
    }

    /// Renews the leases of these claims, all in one request, and answers in their order.
    ///
    /// A change by somebody else that left the lease alone is taken over and the renewal written again. A token that the
    /// server refuses keeps no other from being renewed. What only too few nodes of a cluster took (202) is not renewed: on
    /// the others the lease may lapse and the token be given to somebody else.
    ///
    /// - Throws: When the request failed as a whole.
    public func renew(_ claims: [ClaimedToken], for length: Duration = .seconds(300)) async throws -> [Renewal] {
        try await write(claims, mustBeSafe: true) { claim, token in
            var lease = claim.lease
            lease.until = max(lease.until, clock.now() + (token.pool.leaseLength ?? length))
            token.pool.lease = lease
        }.map { outcome, claim in
            switch outcome {
            case .success(.saved(let token)):
                var claim = claim
                claim.token = token
                claim.lease = token.pool.lease ?? claim.lease
                return .renewed(claim)
            case .success(.superseded(let current)): return .lost(current)
            case .failure(let error): return .failed(error)
            }
        }
    }

    /// Writes the result of a claim.
    ///
    /// A token that failed and has tries left goes back to the pool. When somebody else moved the token on, theirs
    /// stays; see ``keep(_:of:besides:)`` for the result. Exactly one attempt can end a token.
    public func finish(_ claim: ClaimedToken, _ result: TokenResult) async throws -> SaveOutcome {
        try await finish([(claim, result)])[0]
    }

    /// Writes several results in one request and answers in their order.
    ///
    /// - Throws: What was wrong with the first that the server refused; all others are written by then. Calling again with
    ///   the same results does no harm.
    public func finish(_ results: [FinishedClaim]) async throws -> [SaveOutcome] {
        try await finishEach(results).map { try $0.get() }
    }

    /// Writes several results in one request, and says of each what became of it.
    ///
    /// - Throws: When the request failed as a whole.
    package func finishEach(_ results: [FinishedClaim]) async throws -> [Result<SaveOutcome, any Error>] {
        try await write(results.map(\.claim), Self.finishing(results)).map(\.outcome)
    }

    /// The change that writes the result of each of these claims.
    static func finishing(_ results: [FinishedClaim]) -> (ClaimedToken, inout Token) -> Void {
        let byLease = Dictionary(
            results.map { ($0.claim.lease.id, $0.result) }, uniquingKeysWith: { first, _ in first })
        return { claim, token in
            if let result = byLease[claim.lease.id] { token.finish(result, of: claim) }
        }
    }

    /// Hands claims back unfinished, as if they had not been tried but for `scrub_count` and the history.
    ///
    /// - Throws: What was wrong with the first that the server refused; all others are handed back by then.
    @discardableResult
    public func release(_ claims: [ClaimedToken], reason: String? = nil) async throws -> [SaveOutcome] {
        let now = clock.now()
        return try await write(claims) { claim, token in
            token.retire(
                Attempt(
                    lease: claim.lease.id, worker: claim.worker.name, host: claim.worker.hostname,
                    started: Timestamp(seconds: claim.lease.since), ended: now, outcome: .released, reason: reason))
        }.map { try $0.outcome.get() }
    }

    /// Ends a claim as PiCaS' `Task.error` does: the token is given up, with a message, however many tries it had left.
    @discardableResult
    public func fail(_ claim: ClaimedToken, _ message: String) async throws -> SaveOutcome {
        let now = clock.now()
        return try await write([claim]) { claim, token in
            token.pool.history.append(
                Attempt(
                    lease: claim.lease.id, worker: claim.worker.name, host: claim.worker.hostname,
                    started: Timestamp(seconds: claim.lease.since), ended: now, outcome: .failed, reason: message))
            token.giveUp(message, at: now)
        }[0].outcome.get()
    }

    /// Puts a token back whoever holds it, as PiCaS' `Task.scrub` does.
    @discardableResult
    public func scrub(_ id: String) async throws -> Token {
        let now = clock.now()
        return try await update(id) { token in
            guard token.state != .todo else { return false }
            let lease = token.lease
            token.retire(
                Attempt(
                    lease: lease?.id ?? "", worker: lease?.worker ?? "", host: token.hostname,
                    started: Timestamp(seconds: max(0, token.lock)), ended: now, outcome: .reset))
            return true
        }
    }

    /// Keeps the result of a claim that somebody else forestalled: as attachment `attempt-<lease id>.json` of what stands.
    ///
    /// Not kept when the token says so (`pool.superseded: "drop"`), when it was deleted, or while a worker without a
    /// lease (PiCaS) holds it: that one would lose its own result, since it can not cope with a new revision.
    ///
    /// - Returns: Whether it was kept.
    public func keep(_ result: TokenResult, of claim: ClaimedToken) async throws -> Bool {
        for _ in 0..<Self.patience {
            guard let current = try await database.documentIfPresent(claim.token.id).map(Token.init),
                !current.pool.dropsSuperseded, current.state != .locked || current.lease != nil
            else { return false }
            do {
                try await database.putAttachment(
                    "attempt-\(claim.lease.id).json", to: current.id, revision: current.revision,
                    contentType: "application/json", body: .json(result.record(of: claim)))
                return true
            } catch CouchDBError.conflict {
                continue
            }
        }
        throw PoolError(
            .contended, "keeping the superseded result of token \"\(claim.token.id)\": others changed it each time")
    }
}
