import CouchDB
import CouchDocument
import Logging
import Synchronization
import TokenPool

// What a pilot asks of the pool; every answer becomes an event.
extension Pilot {
    func claim(_ count: Int, _ left: Offer?, ahead: Int, taking riders: Riders) async {
        do {
            let claims = try await take(count, left, ahead, riders)
            noteContact()
            if claims.isEmpty {
                watchChanges()
            } else {
                shared.withLock { shared in
                    shared.hasToldWaiting = false
                    shared.isIdle = false
                    for claim in claims { shared.open[claim.lease.id] = claim }
                }
                tell(.claimed(claims.map(\.token.id)))
            }
            let isBare = claims.isEmpty && shared.withLock { $0.source.queues != nil && $0.chooser.isBare }
            inbox.yield(isBare ? .foundEmpty : .claimed(claims))
        } catch {
            fail(error)
            inbox.yield(.claimFailed)
        }
    }

    private func take(
        _ count: Int, _ left: Offer?, _ ahead: Int, _ riders: Riders
    ) async throws -> [ClaimedToken] {
        // Only one claim is under way at a time, so nobody else uses window and chooser meanwhile.
        let source = shared.withLock(\.source)
        if source.queues != nil, let left {
            var chooser = shared.withLock { shared in
                for (set, time) in shared.lengths { shared.chooser.noteLength(time, of: set) }
                shared.lengths = []
                return shared.chooser
            }
            defer {
                let kept = chooser
                shared.withLock { $0.chooser = kept }
            }
            do {
                return try await pool.claim(
                    count, offering: left, ahead: ahead, as: identity, lease: options.lease, chooser: &chooser,
                    taking: riders)
            } catch let error as PoolError where error.code == .noSuchView && source.queues == [] {
                sayOnce(
                    "the views of \"work\" are missing, so tokens are taken as PiCaS does: run `tokenpool views push`")
                shared.withLock { shared in
                    shared.source = .view(.picasTodo)
                    shared.window = ClaimWindow(order: shared.source.order)
                }
                return try await take(count, left, ahead, riders)
            }
        }
        var window = shared.withLock(\.window)
        defer {
            let kept = window
            shared.withLock { $0.window = kept }
        }
        return try await pool.claim(
            count, from: source, as: identity, lease: options.lease, window: &window, taking: riders)
    }

    /// Decides whether a failed claim ends the pilot: what will not go away does, and a server that stays away too long.
    private func fail(_ error: any Error) {
        let now = pool.clock.now()
        let isLasting: Bool
        switch error {
        case let error as CouchDBError where error.isPassing || error.code == .cancelled:
            isLasting = shared.withLock { now - $0.lastContact > patience.length }
        default: isLasting = !(error is CancellationError)
        }
        guard isLasting else {
            // The same words are said once a minute.
            let isNews = shared.withLock { shared in
                let text = "\(error)"
                if let last = shared.lastFailure, last.text == text, now - last.told < .seconds(60) { return false }
                shared.lastFailure = (text, now)
                return true
            }
            if isNews { trouble("claiming failed, trying again: \(error)") }
            return
        }
        shared.withLock { $0.failure = $0.failure ?? error }
        inbox.yield(.stop)
    }

    func renew(_ claims: [ClaimedToken]) async {
        do {
            for (claim, renewal) in zip(claims, try await pool.renew(claims, for: options.lease)) {
                switch renewal {
                case .renewed(let renewed):
                    shared.withLock { $0.controls[claim.lease.id] }?.claim = renewed
                    inbox.yield(.renewed(lease: claim.lease.id, renewed))
                case .lost:
                    if !hasBegun(claim.lease.id) { settle([claim.lease.id]) }
                    inbox.yield(.lost(lease: claim.lease.id))
                case .failed(let error):
                    trouble("renewing the lease of token \"\(claim.token.id)\" failed: \(error)")
                    inbox.yield(.renewalFailed(leases: [claim.lease.id]))
                }
            }
            noteContact()
        } catch {
            trouble("renewing \(claims.count) leases failed: \(error)")
            inbox.yield(.renewalFailed(leases: claims.map(\.lease.id)))
        }
    }

    func handBack(_ claims: [ClaimedToken]) async {
        defer { inbox.yield(.handedBack) }
        if claims.isEmpty { return }
        do {
            let pool = pool
            _ = try await patience.retrying(atMost: .seconds(60)) {
                try await pool.release(claims, reason: "the worker ended before it was started")
            }
            settle(claims.map(\.lease.id))
            for claim in claims { tell(.released(token: claim.token.id)) }
        } catch {
            noteLeft(because: error)
            trouble("handing back \(claims.count) tokens failed: \(error)")
        }
    }

    func sweep() async {
        var freed = false
        do {
            let report = try await pool.sweep()
            freed = report.freed
            if !report.isEmpty { tell(.swept(report)) }
            freed = try await lookForDependents() || freed
        } catch let error as PoolError where error.code == .noSuchView {
            // A database with PiCaS' views alone: nothing of ours waits there, but lapsed leases stay.
            sayOnce(
                "the views of \"tokenpool\" are missing or old, so lapsed leases are not taken back: run `tokenpool views push`"
            )
            shared.withLock { $0.hasDependents = false }
        } catch {
            trouble("looking for lapsed leases failed: \(error)")
        }
        inbox.yield(.swept(freed: freed))
    }

    func beginDependents() async {
        do {
            if try await lookForDependents() { inbox.yield(.freed) }
        } catch {
            // The next sweep looks again, and says what is wrong.
            logger.debug("looking for dependents failed", metadata: ["error": "\(error)"])
        }
    }

    /// Frees some of what nobody freed when its wait was over, and notes whether tokens wait for others at all, so that a
    /// pool without dependencies costs nothing.
    ///
    /// - Returns: Whether tokens became free.
    @discardableResult
    func lookForDependents() async throws -> Bool {
        let cursor = shared.withLock(\.dependentsCursor)
        let (report, awaited, next) = try await pool.releaseDependents(after: cursor)
        shared.withLock { shared in
            shared.hasDependents = awaited > 0 || cursor != nil
            shared.dependentsCursor = next
        }
        if !report.isEmpty { tell(.swept(report)) }
        return report.freed
    }

    /// Frees what waited for a token that has ended, together with those that end meanwhile.
    func freeDependents(of id: String, _ set: String?) async {
        let isMine = shared.withLock { shared in
            guard shared.hasDependents else { return false }
            shared.finished.insert(id)
            if let set { shared.finished.insert("set_" + set) }
            defer { shared.isFreeing = true }
            return !shared.isFreeing
        }
        guard isMine else { return }
        while true {
            let ids = shared.withLock { shared in
                defer { shared.finished = [] }
                shared.isFreeing = !shared.finished.isEmpty
                return shared.finished
            }
            if ids.isEmpty { return }
            do {
                let report = try await pool.releaseDependents(of: ids.sorted())
                if !report.isEmpty {
                    tell(.swept(report))
                    inbox.yield(.freed)
                }
            } catch {
                trouble("freeing what waited for \(ids.count) tokens failed, a sweep will do it: \(error)")
            }
        }
    }

    private func sayOnce(_ text: String) {
        if shared.withLock({ $0.troubles.insert(text).inserted }) { trouble(text) }
    }

    /// Follows the database's changes while the pool is empty, on one request at a time.
    ///
    /// The feed is only for speed: a pilot without it asks again after a growing pause.
    private func watchChanges() {
        guard options.condition.waits else { return }
        let isFirst = shared.withLock { shared in
            shared.isIdle = true
            defer { shared.isWatching = true }
            return !shared.isWatching
        }
        guard isFirst else { return }
        let isNews = shared.withLock { shared in
            defer { shared.hasToldWaiting = true }
            return !shared.hasToldWaiting
        }
        if isNews { tell(.waiting) }
        let watch = Task {
            await self.followChanges()
            self.shared.withLock { $0.isWatching = false }
            self.inbox.yield(.watching(false))
        }
        shared.withLock { $0.watch = watch }
    }

    private func followChanges() async {
        var query = ChangesQuery(since: "now")
        query.limit = 1
        // Only tokens that became free: leases and heartbeats of a thousand others are no news.
        query.filter = .selector(["lock": 0, "done": 0])
        do {
            // What came between the empty answer and now would be missed without a look after the feed began.
            query.since = try await pool.database.info().updateSequence
            inbox.yield(.poolChanged)
            inbox.yield(.watching(true))
            while shared.withLock({ $0.isIdle }) {
                let page = try await pool.database.changes(query, waiting: .seconds(60))
                query.since = page.lastSequence
                if !page.results.isEmpty { inbox.yield(.poolChanged) }
            }
        } catch is CancellationError {
        } catch CouchDBError.cancelled {
        } catch {
            logger.debug("no changes feed", metadata: ["error": "\(error)"])
            sayOnce("the changes feed failed, asking now and then instead: \(error)")
        }
    }
}
