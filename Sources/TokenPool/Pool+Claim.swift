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
        try await claim(count, from: source, as: worker, lease: lease, window: &window, taking: nil)
    }

    /// The same; requests that write locks take results along that wait to be written.
    package func claim(
        _ count: Int, from source: ClaimSource, as worker: WorkerIdentity, lease: Duration, window: inout ClaimWindow,
        taking riders: Riders?
    ) async throws -> [ClaimedToken] {
        var random = SystemRandomNumberGenerator()
        window.begin(now: clock.now())
        var weakTries = 0
        while true {
            switch window.next(count, using: &random) {
            case .write(let tokens):
                // The rows of the next claim are read while the server writes, which for it is mostly waiting.
                let ahead = window.ahead(count)
                async let page = pageAhead(of: source, ahead)
                let (claimed, isWeak) = try await lock(tokens, as: worker, lease: lease, taking: riders)
                window.noteLost(tokens.count - claimed.count, of: tokens.count, using: &random)
                if let ahead, let page = await page { fill(&window, page, of: source, asked: ahead, using: &random) }
                if !claimed.isEmpty { return claimed }
                guard isWeak else { continue }
                // Nodes that are away for longer are for the caller's patience: each try writes twice.
                weakTries += 1
                guard weakTries < Self.mostWeakTries else {
                    throw CouchDBError(
                        code: .serverError, reason: "too few nodes of the cluster take claims",
                        attempted: "claiming tokens")
                }
                try await Task.sleep(for: .milliseconds(100 << weakTries))
            case .read(let read):
                fill(&window, try await page(of: source, read), of: source, asked: read, using: &random)
            case .pause(let duration):
                try await Task.sleep(for: duration)
            case .empty:
                return []
            }
        }
    }

    /// Claims in a row that too few nodes took.
    private static let mostWeakTries = 3

    private func fill(
        _ window: inout ClaimWindow, _ page: ViewPage, of source: ClaimSource, asked read: ClaimWindow.Read,
        using random: inout some RandomNumberGenerator
    ) {
        window.fill(
            page.rows.map { ($0.key, $0.document.map(Token.init)) }, asked: read,
            totalRows: source.rows ?? page.totalRows, now: clock.now(), using: &random)
    }

    /// The rows, or `nil` when they are not to be had: then the next claim asks again, and says what is wrong.
    private func pageAhead(of source: ClaimSource, _ read: ClaimWindow.Read?) async -> ViewPage? {
        guard let read else { return nil }
        do { return try await page(of: source, read) } catch {
            logger.debug("reading ahead failed", metadata: ["error": "\(error)"])
            return nil
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

    /// Writes the locks of these tokens in one request and answers those that are now ours, and whether there were others
    /// that too few nodes took.
    private func lock(
        _ tokens: [Token], as worker: WorkerIdentity, lease length: Duration, taking riders: Riders?
    ) async throws -> (claimed: [ClaimedToken], isWeak: Bool) {
        let now = clock.now()
        return try await writeLocks(
            tokens.map { token in
                let lease = Lease(
                    id: Self.newLeaseID(), worker: worker.name, since: now.seconds,
                    until: now + (token.pool.leaseLength ?? length))
                var token = token
                token.claim(lease: lease, by: worker)
                return ClaimedToken(token: token, lease: lease, worker: worker)
            }, lease: length, taking: riders)
    }

    /// Writes claims that were made up, in one request, and answers those that are now held, and whether there were others
    /// that too few nodes took.
    ///
    /// - Parameter length: By how much a lease must last from the moment at which its claim has to be written once more.
    func writeLocks(
        _ claims: [ClaimedToken], lease length: Duration = .zero, taking riders: Riders? = nil
    ) async throws -> (claimed: [ClaimedToken], isWeak: Bool) {
        // Asked before anything is written: what is held must not be lost to a question.
        let isReplicated = try await cluster.isReplicated(database)
        let outcomes: [BulkOutcome]
        do {
            outcomes = try await save(claims.map(\.token.document), taking: riders)
        } catch let error as CouchDBError where error.isUncertain {
            // The locks may be written although the answer was lost; else these tokens would wait for their lease to lapse.
            logger.debug("claim unanswered", metadata: ["error": "\(error)"])
            let held = try await written(claims)
            return (isReplicated ? try await confirmed(try await insisted(held, length)) : held, false)
        }
        var claimed: [ClaimedToken] = []
        var weak: [ClaimedToken] = []
        var unsure: [ClaimedToken] = []
        var refused: [ClaimedToken] = []
        var failure: CouchDBError?
        for (claim, outcome) in zip(claims, outcomes) {
            switch outcome {
            case .saved(_, let revision, let accepted):
                var claim = claim
                claim.token = claim.token.saved(as: revision)
                if accepted { weak.append(claim) } else { claimed.append(claim) }
            case .failed(_, let error) where error.code == .conflict: refused.append(claim)
            case .failed(_, let error):
                failure = failure ?? error
                if error.isUncertain { unsure.append(claim) }
            }
        }
        if !weak.isEmpty { await giveBack(weak, reason: "too few copies took the claim") }
        if isReplicated, !refused.isEmpty { await removeTraces(of: refused) }
        if let failure {
            if !unsure.isEmpty { claimed += await recover(unsure, isReplicated ? length : nil) }
            // What is held is held, whatever became of the others.
            guard !claimed.isEmpty || !weak.isEmpty else { throw failure }
            logger.warning("some tokens can not be claimed", metadata: ["error": "\(failure)"])
        }
        return (isReplicated ? try await confirmed(claimed) : claimed, !weak.isEmpty)
    }

    /// Finds out which of the locks were written, where a row of the answer said only that something went wrong.
    ///
    /// - Parameter length: Of the lease, where claims must be in enough copies.
    private func recover(_ claims: [ClaimedToken], _ length: Duration?) async -> [ClaimedToken] {
        do {
            let held = try await written(claims)
            return if let length { try await insisted(held, length) } else { held }
        } catch {
            logger.warning(
                "tokens may wait for a lease that nobody holds",
                metadata: ["tokens": "\(claims.count)", "error": "\(error)"])
            return []
        }
    }

    /// Reads which of the locks were written.
    private func written(_ claims: [ClaimedToken]) async throws -> [ClaimedToken] {
        let current = try await database.documents(claims.map(\.token.id))
        return zip(claims, current).compactMap { claim, document in
            guard let token = document.map(Token.init), claim.isHeld(in: token) else { return nil }
            var claim = claim
            claim.token = token
            return claim
        }
    }

    /// Writes the leases of claims once more whose answer was lost, and keeps those that enough copies took: nobody said
    /// that of the first write.
    private func insisted(_ claims: [ClaimedToken], _ length: Duration) async throws -> [ClaimedToken] {
        guard !claims.isEmpty else { return [] }
        var held: [ClaimedToken] = []
        var weak: [ClaimedToken] = []
        for (claim, renewal) in zip(claims, try await renew(claims, for: length)) {
            switch renewal {
            case .renewed(let claim): held.append(claim)
            case .lost: break
            case .failed: weak.append(claim)
            }
        }
        if !weak.isEmpty { await giveBack(weak, reason: "too few copies took the claim") }
        return held
    }

    /// Deletes our versions of tokens where another claim was first.
    ///
    /// Two claims of the same moment can come to the copies of a token in different order. The one that fewer copies took is
    /// told of a conflict, but its version is there, beside the other (CouchDB 3.5, `fabric_doc_update`).
    private func removeTraces(of claims: [ClaimedToken]) async {
        do {
            let current = try await database.documents(claims.map(\.token.id), conflicts: true)
            for (claim, document) in zip(claims, current) {
                guard let document, !document.conflicts.isEmpty else { continue }
                for revision in [document.revision].compactMap({ $0 }) + document.conflicts {
                    guard let version = try await database.documentIfPresent(claim.token.id, revision: revision),
                        claim.isHeld(in: Token(version))
                    else { continue }
                    try await database.delete(claim.token.id, revision: revision)
                }
            }
        } catch {
            logger.warning(
                "a token may have several versions, which a janitor must sort out",
                metadata: ["tokens": "\(claims.map(\.token.id))", "error": "\(error)"])
        }
    }

    /// Hands back claims that do not count. What can not be handed back waits for its lease: no reason to lose others.
    private func giveBack(_ claims: [ClaimedToken], reason: String) async {
        do { _ = try await release(claims, reason: reason) } catch {
            logger.warning(
                "tokens wait for their leases to end",
                metadata: ["tokens": "\(claims.count)", "reason": "\(reason)", "error": "\(error)"])
        }
    }

    /// Reads claims back with their conflicts and keeps those that nobody else was told to have as well.
    private func confirmed(_ claims: [ClaimedToken]) async throws -> [ClaimedToken] {
        guard !claims.isEmpty else { return [] }
        let current: [Document?]
        do {
            current = try await database.documents(claims.map(\.token.id), conflicts: true)
        } catch {
            await giveBack(claims, reason: "the claim could not be read back")
            throw error
        }
        var confirmed: [ClaimedToken] = []
        for (claim, document) in zip(claims, current) {
            guard let document else { continue }
            if document.conflicts.isEmpty {
                var claim = claim
                guard claim.isHeld(in: Token(document)) else { continue }
                claim.token.revision = document.revision
                confirmed.append(claim)
            } else {
                do {
                    if let claim = try await settle(claim, winner: document) { confirmed.append(claim) }
                } catch {
                    logger.warning(
                        "a token has several versions, which a janitor must sort out",
                        metadata: ["token": "\(claim.token.id)", "error": "\(error)"])
                }
            }
        }
        return confirmed
    }

    /// Decides about a claim whose token has other versions beside ours.
    ///
    /// When somebody else has just claimed one of them, all claimants step back: the one with the oldest lease puts its
    /// version back to todo, the others delete theirs. Versions that have lain there for longer are judged as janitors do,
    /// so that they are not claimed in vain again and again: the better one stays.
    ///
    /// - Returns: The claim, when ours is the version that stays.
    private func settle(_ claim: ClaimedToken, winner: Document) async throws -> ClaimedToken? {
        guard let revision = claim.token.revision else { return nil }
        var rivals: [Token] = []
        for other in [winner.revision].compactMap({ $0 }) + winner.conflicts where other != revision {
            if let version = try await database.documentIfPresent(claim.token.id, revision: other) {
                rivals.append(Token(version))
            }
        }
        let now = clock.now()
        let fresh = rivals.compactMap(\.lease).filter { now - Timestamp(seconds: $0.since) < ConflictRepair.calm }
        if !fresh.isEmpty, fresh.allSatisfy({ (claim.lease.since, claim.lease.id) < ($0.since, $0.id) }) {
            await giveBack([claim], reason: "another worker was given the token too")
            return nil
        }
        let isBest = fresh.isEmpty && ConflictRepair.best(of: [claim.token] + rivals)?.revision == revision
        for loser in isBest ? rivals.compactMap(\.revision) : [revision] {
            do {
                try await database.delete(claim.token.id, revision: loser)
            } catch CouchDBError.conflict {
                // Somebody removed that version already.
            }
        }
        return isBest ? claim : nil
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
