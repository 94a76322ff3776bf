public import CouchDB
import CouchDocument
import Logging

extension Pool {
    /// Claims up to `count` open tokens for a worker.
    ///
    /// Reads a window of the view, drops what is no longer todo and writes the locks of up to `count` tokens in one
    /// request. Losing some of them to another worker is normal: the window's next rows are tried, then a fresh window,
    /// until at least one token is held or the view is empty.
    ///
    /// The lock is a lease. A worker that stops renewing it loses the token, even while its command is still running.
    ///
    /// - Parameter lease: The length of the lease, unless a token asks for its own (`pool.lease_seconds`).
    /// - Returns: The tokens, now locked by `worker`; none when the fresh view is empty.
    public func claim(
        _ count: Int, from view: ViewName = .picasTodo, as worker: WorkerIdentity, lease: Duration = .seconds(300),
        order: ClaimOrder = .shuffled
    ) async throws -> [ClaimedToken] {
        var window = ClaimWindow(order: order)
        return try await claim(
            count, from: ClaimSource(view: view, order: order), as: worker, lease: lease, window: &window)
    }

    /// Claims like ``claim(_:from:as:lease:order:)`` and keeps the rows that were read and not needed for the next call.
    public func claim(
        _ count: Int, from source: ClaimSource, as worker: WorkerIdentity, lease: Duration, window: inout ClaimWindow
    ) async throws -> [ClaimedToken] {
        var random = SystemRandomNumberGenerator()
        window.begin(now: clock.now())
        while true {
            switch window.next(count, using: &random) {
            case .write(let tokens):
                let claimed = try await lock(tokens, as: worker, lease: lease)
                window.noteLost(tokens.count - claimed.count, of: tokens.count, using: &random)
                if !claimed.isEmpty { return claimed }
            case .read(let read):
                let page = try await page(of: source, read)
                window.fill(
                    page.rows.map { ($0.key, $0.document.map(Token.init)) }, asked: read,
                    totalRows: source.rows ?? page.totalRows,
                    now: clock.now(), using: &random)
            case .pause(let duration):
                try await Task.sleep(for: duration)
            case .empty:
                return []
            }
        }
    }

    private func page(of source: ClaimSource, _ read: ClaimWindow.Read) async throws -> ViewPage {
        do {
            return try await database.view(source.view, source.query(read))
        } catch CouchDBError.notFound {
            throw try await missing("view \"\(source.view)\" is not in")
        }
    }

    /// What to say when the server knows no such view: whether it lacks the database, and what to do.
    func missing(_ what: String) async throws -> PoolError {
        guard try await database.exists() else {
            return PoolError(
                .noSuchDatabase, "there is no database \"\(database.name)\": make it with `tokenpool init`")
        }
        return PoolError(.noSuchView, "\(what) database \"\(database.name)\": run `tokenpool views push`")
    }

    /// Writes the locks of these tokens in one request and answers those that are now ours.
    private func lock(_ tokens: [Token], as worker: WorkerIdentity, lease length: Duration) async throws
        -> [ClaimedToken]
    {
        let now = clock.now()
        let claims = tokens.map { token in
            let lease = Lease(
                id: Self.newLeaseID(), worker: worker.name, since: now.seconds,
                until: now + (token.pool.leaseLength ?? length))
            var token = token
            token.claim(lease: lease, by: worker)
            return ClaimedToken(token: token, lease: lease, worker: worker)
        }
        let outcomes: [BulkOutcome]
        do {
            outcomes = try await database.bulkSave(claims.map(\.token.document))
        } catch let error as CouchDBError where error.isUncertain {
            // The locks may be written although the answer was lost; else these tokens would wait for their lease to lapse.
            return try await recover(claims, after: error)
        }
        var claimed: [ClaimedToken] = []
        var unsure: [ClaimedToken] = []
        var failure: CouchDBError?
        for (claim, outcome) in zip(claims, outcomes) {
            switch outcome {
            case .saved(_, let revision, let accepted):
                var claim = claim
                claim.token = claim.token.saved(as: revision)
                if accepted { unsure.append(claim) } else { claimed.append(claim) }
            case .failed(_, let error):
                if error.code != .conflict { failure = failure ?? error }
            }
        }
        // What is held is held, whatever became of the others.
        if let failure {
            guard !claimed.isEmpty || !unsure.isEmpty else { throw failure }
            logger.warning("some tokens can not be claimed", metadata: ["error": "\(failure)"])
        }
        if !unsure.isEmpty { try await release(unsure, reason: "too few copies took the claim") }
        guard !claimed.isEmpty, try await cluster.isReplicated(database) else { return claimed }
        return try await confirm(claimed)
    }

    /// Finds out which of the locks were written.
    private func recover(_ claims: [ClaimedToken], after error: CouchDBError) async throws -> [ClaimedToken] {
        logger.debug("claim unanswered", metadata: ["error": "\(error)"])
        let current = try await database.documents(claims.map(\.token.id))
        return zip(claims, current).compactMap { claim, document in
            guard let token = document.map(Token.init), claim.isHeld(in: token) else { return nil }
            var claim = claim
            claim.token = token
            return claim
        }
    }

    /// Reads claims back with their conflicts and keeps those that nobody else was told to have as well.
    ///
    /// With a conflict all claimants step back: the one with the older lease puts its branch back to todo, the others
    /// delete theirs, so one branch stays.
    private func confirm(_ claims: [ClaimedToken]) async throws -> [ClaimedToken] {
        let current = try await database.documents(claims.map(\.token.id), conflicts: true)
        var confirmed: [ClaimedToken] = []
        for (claim, document) in zip(claims, current) {
            guard let document else { continue }
            if document.conflicts.isEmpty {
                var claim = claim
                guard claim.isHeld(in: Token(document)) else { continue }
                claim.token.revision = document.revision
                confirmed.append(claim)
            } else {
                try await stepBack(claim, winner: document)
            }
        }
        return confirmed
    }

    private func stepBack(_ claim: ClaimedToken, winner: Document) async throws {
        var rivals: [Lease] = []
        for revision in [winner.revision].compactMap({ $0 }) + winner.conflicts where revision != claim.token.revision {
            if let token = try await database.documentIfPresent(claim.token.id, revision: revision).map(Token.init),
                let lease = token.lease
            {
                rivals.append(lease)
            }
        }
        let isOldest = rivals.allSatisfy { (claim.lease.since, claim.lease.id) < ($0.since, $0.id) }
        if isOldest {
            _ = try await release([claim], reason: "another worker was given the token too")
        } else if let revision = claim.token.revision {
            do {
                try await database.delete(claim.token.id, revision: revision)
            } catch CouchDBError.conflict {
                // Somebody removed our branch already.
            }
        }
    }

    /// A name for a lease that nobody ever had.
    static func newLeaseID() -> String {
        let number = String(UInt64.random(in: .min ... .max), radix: 36)
        return String(repeating: "0", count: 13 - number.utf8.count) + number
    }
}

extension CouchDBError {
    /// Whether the request may have been carried out although it failed.
    public var isUncertain: Bool {
        switch code {
        case .interrupted, .timedOut, .unreachable, .badAnswer, .serverError: true
        default: false
        }
    }
}
