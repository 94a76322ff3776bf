public import TokenPool

/// What a pilot knows and decides: which tokens it runs, when it claims, renews, stops and ends.
///
/// A value with events in and actions out; ``Pilot`` carries the actions out and reports what came of them.
public struct PilotState: Sendable {
    /// What happened.
    public enum Event: Sendable {
        /// Time passed.
        case tick
        /// A claim ended with these tokens; none when the pool is empty.
        case claimed([ClaimedToken])
        /// A claim ended, and there was no open token at all, not even one for others.
        case foundEmpty
        /// A claim failed; it may do better later.
        case claimFailed
        /// A sweep ended; whether it made tokens free.
        case swept(freed: Bool)
        /// Tokens became free.
        case freed
        /// A token's command ended, or could not start; its result is on the way.
        case ended(lease: String)
        /// A token's command ended, and its slot began another one that was ready at once.
        case succeeded(lease: String, begun: ClaimedToken)
        /// Tokens are prepared for a slot that becomes free; with these it failed.
        case prepared(leases: [String], failed: [String])
        /// A token's result is written or superseded. It may be tried again at that moment.
        case reported(lease: String, retryAt: Timestamp?)
        /// A renewal was answered.
        case renewed(lease: String, ClaimedToken)
        /// Somebody else has the token now.
        case lost(lease: String)
        /// A renewal could not be written.
        case renewalFailed(leases: [String])
        /// Tokens that were never started are handed back.
        case handedBack
        /// Something in the database changed.
        case poolChanged
        /// Whether changes are told from now on, so that asking again and again is not needed.
        case watching(Bool)
        /// A person or the batch system wants the pilot to end; once more: at once.
        case stop
    }

    /// What to do.
    public enum Action: Hashable, Sendable {
        /// Claim up to so many tokens.
        case claim(Int)
        /// Look for lapsed leases and due tokens.
        case sweep
        /// Make ready what these need, so that a slot can begin them when its command ends.
        case prepare([ClaimedToken])
        /// Run a token, unless a slot began it by now.
        case run(ClaimedToken)
        /// End a token's command, softly.
        case terminate(lease: String, StopReason)
        /// End a token's command at once.
        case kill(lease: String)
        /// Renew these leases.
        case renew([ClaimedToken])
        /// Hand these back, except for those that a slot began by now.
        case handBack([ClaimedToken])
        /// Forget a token that was prepared; if a slot began it by now, end its command at once.
        case drop(lease: String)
        /// Cut short what is still under way: there is no time left for it.
        case abandon
        /// Nothing is left to do.
        case finish
    }

    /// Why a command is ended.
    public enum StopReason: Hashable, Sendable {
        /// It took too long.
        case timeLimit(Duration)
        /// The pilot ends.
        case pilotEnds
        /// The lease is over.
        case leaseLost
    }

    struct Running: Sendable {
        var claim: ClaimedToken
        var lease: HeldLease
        var started: Timestamp
        var deadline: Timestamp?
        var killAt: Timestamp?
        var isReporting = false
    }

    /// A token that waits for a slot.
    struct Waiting: Sendable {
        enum Stage: Sendable {
            case claimed
            case preparing
            case ready
            /// It is prepared when its turn comes.
            case unprepared
        }

        var claim: ClaimedToken
        var lease: HeldLease
        var stage = Stage.claimed
        var isPrepared: Bool { stage == .preparing || stage == .ready }
    }

    let slots: Int
    let lease: Duration
    let grace: Duration
    let timeLimit: Duration?
    let condition: StopCondition
    let started: Timestamp
    /// What the machine has when nothing runs; `nil` when tokens are not measured by what they require.
    let offer: Offer?

    var queue: [Waiting] = []
    var running: [String: Running] = [:]
    /// Tokens taken since the start.
    public internal(set) var taken = 0
    var pace = Pace()
    var claimBegan: Timestamp?
    /// Whether there is more room than when the claim that is under way was begun: that it brings nothing says little then.
    var hasMoreRoom = false
    var claimAt: Timestamp?
    var emptyClaims = 0
    var isPoolEmpty = false
    var isWatching = false
    var isSweeping = false
    var sweptSinceEmpty = false
    var sweepAt: Timestamp
    var sweepBegan: Timestamp
    var retries: [Timestamp] = []
    var handingBack = 0
    var stops = 0
    /// When a pilot that was told twice ends, whatever is under way.
    var endAt: Timestamp?
    var isFinished = false
    /// Between 0.5 and 1.5, this pilot's own: so that pilots started together do not act together.
    let jitter: Double

    /// The state of a pilot that starts now.
    ///
    /// - Parameters:
    ///   - grace: The time between TERM and KILL.
    ///   - timeLimit: For tokens that set none.
    ///   - offer: What the machine has for tokens that say what they require; `nil` does not look at that.
    ///   - jitter: Between 0.5 and 1.5; multiplies pauses.
    public init(
        slots: Int, lease: Duration, grace: Duration, timeLimit: Duration? = nil, condition: StopCondition,
        started: Timestamp, offer: Offer? = nil, jitter: Double = 1
    ) {
        self.slots = max(1, slots)
        self.lease = lease
        self.grace = grace
        self.timeLimit = timeLimit
        self.condition = condition
        self.started = started
        self.offer = offer
        self.jitter = jitter
        sweepBegan = started
        sweepAt = started + min(lease / 3, .seconds(30)) * jitter
    }

    /// What a pilot that was told twice still has for the results of the commands that it killed.
    private static let lastMoment = Duration.seconds(3)

    /// The longest pause between two claims of a pilot that is told of changes.
    static let longestPause = Duration.seconds(60)

    /// The time between two sweeps: while tokens run they cost little beside the rest; an idle pilot is one of many, and
    /// there are janitors.
    private var sweepPause: Duration { isPoolEmpty ? min(lease, .seconds(120)) : min(lease / 3, .seconds(30)) }

    /// Whether new tokens are taken no more.
    public var isStopping: Bool { stops > 0 }
    /// The tokens whose commands run.
    public var runningTokens: [ClaimedToken] { running.values.filter { !$0.isReporting }.map(\.claim) }
    /// Slots in use.
    var busy: Int { running.values.count { !$0.isReporting } }

    /// Takes in what happened and says what to do.
    public mutating func handle(_ event: Event, now: Timestamp) -> [Action] {
        var actions: [Action] = []
        switch event {
        case .tick: break
        case .claimed(let claims):
            take(claims, now)
            // What a claim brings that was under way when the pilot was told to stop.
            if isStopping { actions += handBackQueue() }
        case .foundEmpty:
            take([], now)
            // Whoever is told of every token that becomes free asks again only for safety.
            if isPoolEmpty, isWatching { claimAt = now + Self.longestPause * jitter }
        case .claimFailed:
            claimBegan = nil
            claimAt = now + backOff(after: &emptyClaims, atMost: .seconds(10))
        case .swept(let freed):
            isSweeping = false
            sweptSinceEmpty = true
            retries.removeAll { $0 <= sweepBegan }
            sweepAt = now + sweepPause * jitter
            if freed { forgetEmptiness() }
        case .freed: forgetEmptiness()
        case .ended(let id):
            if let run = running[id] { pace.note(now - run.started) }
            running[id]?.isReporting = true
            roomChanged()
        case .succeeded(let id, let claim):
            if let run = running[id] { pace.note(now - run.started) }
            running[id]?.isReporting = true
            actions += begun(claim, now)
        case .prepared(let leases, let failed):
            for index in queue.indices where queue[index].stage == .preparing {
                let lease = queue[index].claim.lease.id
                if leases.contains(lease) { queue[index].stage = .ready }
                if failed.contains(lease) { queue[index].stage = .unprepared }
            }
        case .reported(let id, let retryAt):
            running[id] = nil
            roomChanged()
            if let retryAt, retryAt > now { retries.append(retryAt) } else if retryAt != nil { forgetEmptiness() }
        case .renewed(let id, let claim):
            running[id]?.claim = claim
            _ = running[id]?.lease.handle(.renewed(until: claim.lease.until))
            if let index = queue.firstIndex(where: { $0.claim.lease.id == id }) {
                queue[index].claim = claim
                _ = queue[index].lease.handle(.renewed(until: claim.lease.until))
            }
        case .lost(let id): actions += lose(id)
        case .renewalFailed(let ids):
            for id in ids {
                if running[id]?.lease.handle(.renewalFailed(now: now)) == .stopWork { actions += lose(id) }
                if let index = queue.firstIndex(where: { $0.claim.lease.id == id }) {
                    _ = queue[index].lease.handle(.renewalFailed(now: now))
                }
            }
        case .handedBack: handingBack -= 1
        case .watching(let isWatching): self.isWatching = isWatching
        case .poolChanged: if isPoolEmpty { claimAt = min(claimAt ?? now, max(now, lastChance(now))) }
        case .stop:
            stops += 1
            if stops == 2 { endAt = now + Self.lastMoment }
            actions += stopAll(now)
        }
        return actions + advance(now)
    }

    /// When it wants to be asked again if nothing happens.
    public func nextWake(now: Timestamp) -> Timestamp {
        var moments = [now + .seconds(1)]
        for run in running.values where !run.isReporting {
            moments.append(run.lease.nextEvent)
            if let deadline = run.deadline { moments.append(deadline) }
            if let killAt = run.killAt { moments.append(killAt) }
        }
        moments += queue.map(\.lease.nextEvent)
        if let claimAt, claimBegan == nil { moments.append(claimAt) }
        if let prefetch = pace.prefetchMoment(running: running.values.map(\.started), now: now) {
            moments.append(prefetch)
        }
        if isPoolEmpty { moments += retries }
        if let endAt { moments.append(max(endAt, now)) }
        return moments.min() ?? now
    }
}
