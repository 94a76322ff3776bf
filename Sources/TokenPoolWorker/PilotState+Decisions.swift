import CouchDocument
import TokenPool

extension PilotState {
    mutating func take(_ claims: [ClaimedToken], _ now: Timestamp) {
        if let claimBegan { pace.noteClaim(now - claimBegan) }
        claimBegan = nil
        taken += claims.count
        if claims.isEmpty, hasMoreRoom {
            forgetEmptiness()
        } else if claims.isEmpty {
            if !isPoolEmpty { sweptSinceEmpty = false }
            isPoolEmpty = true
            claimAt = now + backOff(after: &emptyClaims, atMost: isWatching ? Self.longestPause : .seconds(10))
        } else {
            forgetEmptiness()
            queue += claims.map { claim in
                let length = claim.token.pool.leaseLength ?? lease
                return Waiting(
                    claim: claim, lease: HeldLease(length: length, until: claim.lease.until),
                    stage: claim.token.needsFiles ? .unprepared : .claimed)
            }
        }
    }

    mutating func forgetEmptiness() {
        isPoolEmpty = false
        emptyClaims = 0
        claimAt = nil
    }

    /// There is more room than at the last claim: what did not fit then, or was more than its set may have, may do so now.
    mutating func roomChanged() {
        guard offer != nil else { return }
        hasMoreRoom = true
        if isPoolEmpty { forgetEmptiness() }
    }

    /// A pause that doubles each time and differs between pilots.
    func backOff(after count: inout Int, atMost longest: Duration) -> Duration {
        let pause = min(.milliseconds(50 << min(count, 12)), longest) * jitter
        count += 1
        return pause
    }

    /// However much the database changes, an idle pilot asks no more often than this: the longer it was in vain, the less.
    func lastChance(_ now: Timestamp) -> Timestamp { now + .milliseconds(10 << min(emptyClaims, 7)) * jitter }

    mutating func lose(_ id: String) -> [Action] {
        if let index = queue.firstIndex(where: { $0.claim.lease.id == id }) {
            return queue.remove(at: index).isPrepared ? [.drop(lease: id)] : []
        }
        guard running[id] != nil else { return [] }
        _ = running[id]?.lease.handle(.lost)
        return stop(id, .leaseLost, killAt: started)
    }

    private mutating func stop(_ id: String, _ reason: StopReason, killAt: Timestamp) -> [Action] {
        guard let run = running[id], !run.isReporting else { return [] }
        if run.killAt == nil {
            running[id]?.killAt = killAt
            return [.terminate(lease: id, reason)]
        }
        return []
    }

    /// The first time softly, then at once.
    mutating func stopAll(_ now: Timestamp) -> [Action] {
        // First, so that no slot whose command ends of it begins the next one.
        var actions = handBackQueue()
        for id in running.keys.sorted() {
            actions += stop(id, .pilotEnds, killAt: now + grace)
            if stops > 1, running[id]?.isReporting == false {
                running[id]?.killAt = now + .seconds(5)
                actions.append(.kill(lease: id))
            }
        }
        return actions
    }

    mutating func handBackQueue() -> [Action] {
        guard !queue.isEmpty else { return [] }
        handingBack += 1
        defer { queue = [] }
        return [.handBack(queue.map(\.claim))]
    }

    /// Everything that follows from the time and from what is free.
    mutating func advance(_ now: Timestamp) -> [Action] {
        guard !isFinished else { return [] }
        if let endAt, now >= endAt {
            isFinished = true
            return [.abandon, .finish]
        }
        var actions = watch(now)
        // After the time, what was not started goes back.
        if let deadline = condition.deadline(from: started), now >= deadline { actions += handBackQueue() }
        if !isStopping {
            while busy < slots, let next = nextToRun(now), running.count < outstandingLimit {
                let waiting = queue.remove(at: next)
                note(waiting.claim, waiting.lease, now)
                actions.append(.run(waiting.claim))
            }
            actions += prepareNext()
        }
        let mayTake = isStopping ? 0 : condition.remaining(taken: taken, started: started, now: now) ?? .max
        if mayTake > 0 { actions += seek(upTo: mayTake, now) }
        if running.isEmpty, queue.isEmpty, claimBegan == nil, !isSweeping, handingBack == 0,
            mayTake == 0 || isExhausted
        {
            isFinished = true
            actions.append(.finish)
        }
        return actions
    }

    /// So many tokens run or are being reported at most.
    private var outstandingLimit: Int { slots * 4 + 256 }

    private mutating func note(_ claim: ClaimedToken, _ lease: HeldLease, _ now: Timestamp) {
        let limit = claim.token.pool.timeLimit ?? timeLimit
        running[claim.lease.id] = Running(claim: claim, lease: lease, started: now, deadline: limit.map { now + $0 })
    }

    /// Takes in that a slot began a token that was ready.
    mutating func begun(_ claim: ClaimedToken, _ now: Timestamp) -> [Action] {
        let id = claim.lease.id
        // It was to be run anyway, and the slot was faster.
        guard running[id] == nil else { return [] }
        if let index = queue.firstIndex(where: { $0.claim.lease.id == id }) {
            let waiting = queue.remove(at: index)
            note(waiting.claim, waiting.lease, now)
        } else {
            let length = claim.token.pool.leaseLength ?? lease
            note(claim, HeldLease(length: length, until: claim.lease.until), now)
        }
        // It began between the word to stop and its withdrawal.
        guard isStopping else { return [] }
        let actions = stop(id, .pilotEnds, killAt: now + grace)
        return stops > 1 ? actions + [.kill(lease: id)] : actions
    }

    /// Prepares what is next, while all that can run does: some for each slot, several together.
    private mutating func prepareNext() -> [Action] {
        let enough = min(2 * slots + 6, 32)
        let prepared = queue.count { $0.isPrepared }
        guard prepared <= enough / 2, running.count + prepared < outstandingLimit else { return [] }
        let next = queue.indices.filter { queue[$0].stage == .claimed }.prefix(enough - prepared)
        guard !next.isEmpty else { return [] }
        for index in next { queue[index].stage = .preparing }
        return [.prepare(next.map { queue[$0].claim })]
    }

    /// What the machine has left beside what runs and what is going to.
    ///
    /// Tokens that wait here and require nothing do not count: they are next, not beside.
    func left(_ now: Timestamp) -> Offer? {
        guard var left = free(now) else { return nil }
        for requires in queue.map(\.claim.token.pool.requires) where !requires.isEmpty { left = left.less(requires) }
        return left
    }

    /// How many tokens that require nothing are wanted although there is no room for them yet: what runs now and requires
    /// nothing either will be over by the time that they are here.
    func ahead(of count: Int) -> Int {
        let runs = running.values.filter { !$0.isReporting }
        guard runs.allSatisfy({ $0.claim.token.pool.requires.isEmpty }) else { return 0 }
        return max(0, count + queue.count - max(0, slots - runs.count))
    }

    /// What the machine has left beside what runs.
    private func free(_ now: Timestamp) -> Offer? {
        guard var left = offer else { return nil }
        for run in running.values where !run.isReporting { left = left.less(run.claim.token.pool.requires) }
        if let deadline = condition.deadline(from: started) {
            left.walltime = min(left.walltime ?? (deadline - now), deadline - now)
        }
        return left
    }

    /// The first of the tokens that wait here for which there is room; any of them when nothing runs.
    private func nextToRun(_ now: Timestamp) -> Int? {
        guard !queue.isEmpty else { return nil }
        guard let left = free(now), busy > 0 else { return queue.firstIndex { $0.stage != .preparing } }
        return queue.firstIndex { entry in
            if entry.stage == .preparing { return false }
            var requires = entry.claim.token.pool.requires
            // It was looked at when the token was claimed; meanwhile some seconds went by.
            requires["walltime"] = nil
            return left.admits(requires)
        }
    }

    /// Whether the pool has nothing more for a pilot that does not wait.
    private var isExhausted: Bool { !condition.waits && isPoolEmpty && sweptSinceEmpty && retries.isEmpty }

    private mutating func seek(upTo mayTake: Int, _ now: Timestamp) -> [Action] {
        var actions: [Action] = []
        let isRetryDue = isPoolEmpty && retries.contains { $0 <= now }
        if !isSweeping, now >= sweepAt || isRetryDue || (isPoolEmpty && !sweptSinceEmpty) {
            isSweeping = true
            sweepBegan = now
            actions.append(.sweep)
        }
        guard claimBegan == nil, claimAt.map({ $0 <= now }) ?? true, !isExhausted || !running.isEmpty || condition.waits
        else { return actions }
        let starts = running.values.filter { !$0.isReporting }.map(\.started)
        let wanted = min(mayTake, pace.wanted(slots: slots, running: starts, now: now) - queue.count)
        // Half of what is wanted is still there: a later claim brings more at once.
        guard wanted > 0, busy < slots || queue.count <= wanted else { return actions }
        claimBegan = now
        hasMoreRoom = false
        actions.append(.claim(wanted))
        return actions
    }

    /// Leases to renew, limits that are over, graces that ended.
    private mutating func watch(_ now: Timestamp) -> [Action] {
        var actions: [Action] = []
        var renewals: [ClaimedToken] = []
        for id in running.keys {
            guard var run = running[id], !run.isReporting else { continue }
            let action = run.lease.handle(.tick(now: now))
            running[id] = run
            switch action {
            case .none: break
            case .renew: renewals.append(run.claim)
            case .stopWork: actions += lose(id)
            }
            if let deadline = run.deadline, now >= deadline {
                running[id]?.deadline = nil
                actions += stop(id, .timeLimit(deadline - run.started), killAt: now + grace)
            }
            if let killAt = running[id]?.killAt, now >= killAt {
                running[id]?.killAt = now + .seconds(5)
                actions.append(.kill(lease: id))
            }
        }
        for index in queue.indices where queue[index].lease.handle(.tick(now: now)) == .renew {
            renewals.append(queue[index].claim)
        }
        // What lapsed before it was started is no longer ours.
        actions += queue.filter { $0.lease.isOver && $0.isPrepared }.map { .drop(lease: $0.claim.lease.id) }
        queue.removeAll { $0.lease.isOver }
        if !renewals.isEmpty { actions.append(.renew(renewals)) }
        return actions
    }
}
