import CouchDB
import Synchronization
import TokenPool

/// Who does the work of a pilot's slots.
struct Crew: Sendable {
    let runner: TokenRunner
    let reporter: Reporter
    let cleaner: FolderCleaner
}

// What a pilot does with the tokens that it holds; every outcome becomes an event.
extension Pilot {
    func perform(_ action: PilotState.Action, _ crew: Crew, in group: inout TaskGroup<Void>) {
        switch action {
        case .sweep: group.addTask { await self.sweep() }
        case .prepare(let claims):
            let controls = claims.map { RunControl($0) }
            ready.begin(controls.map(\.lease))
            shared.withLock { shared in
                for control in controls { shared.controls[control.lease] = control }
            }
            group.addTask { await self.prepare(controls, crew.runner) }
        case .run(let claim): begin(claim, crew, in: &group)
        case .terminate(let lease, let reason): shared.withLock { $0.controls[lease] }?.terminate(reason)
        case .kill(let lease): shared.withLock { $0.controls[lease] }?.kill()
        case .renew(let claims): group.addTask { await self.renew(claims) }
        case .handBack(let claims):
            let claims = claims.filter { withdraw($0.lease.id, crew.runner) }
            group.addTask { await self.handBack(claims) }
        case .drop(let lease):
            guard !withdraw(lease, crew.runner) else { break }
            // A slot was faster; what it began must end.
            let control = shared.withLock { $0.controls[lease] }
            control?.terminate(.leaseLost)
            control?.kill()
        case .abandon, .claim, .finish: break
        }
    }

    private func begin(_ claim: ClaimedToken, _ crew: Crew, in group: inout TaskGroup<Void>) {
        let lease = claim.lease.id
        let prepared = ready.take(lease: lease)
        let (control, slot) = shared.withLock { shared -> (RunControl?, Int) in
            // A slot whose command ended began it a moment ago.
            if prepared == nil, shared.controls[lease] != nil { return (nil, 0) }
            let taken = shared.slots
            let slot = (0...).first { !taken.contains($0) } ?? 0
            shared.slots.insert(slot)
            let control = prepared?.control ?? RunControl(claim)
            shared.controls[lease] = control
            return (control, slot)
        }
        guard let control else { return }
        tell(.started(token: claim.token.id, lease: lease))
        group.addTask { await self.run(control, prepared, slot, crew) }
    }

    /// Whether a token that has not begun is ours to give away; its folder goes.
    private func withdraw(_ lease: String, _ runner: TokenRunner) -> Bool {
        guard shared.withLock({ $0.controls[lease] }) != nil else { return true }
        switch ready.withdraw(lease) {
        case .taken: return false
        case .pending: break
        case .ready(let run): threads.begin { runner.discard(run) }
        }
        shared.withLock { $0.controls[lease] = nil }
        return true
    }

    /// Whether a slot has the token of that lease.
    func hasBegun(_ lease: String) -> Bool {
        shared.withLock { $0.controls[lease] } != nil && !ready.holds(lease)
    }

    /// Makes the folders of tokens that are next.
    private func prepare(_ controls: [RunControl], _ runner: TokenRunner) async {
        let failed = await threads.perform { [ready] in
            controls.filter { control in
                do {
                    let run = try runner.make(control)
                    if !ready.add(run) { runner.discard(run) }
                    return false
                } catch {
                    // It is tried once more when its turn comes, and reported then.
                    runner.discard(failed: control)
                    return ready.fail(control.lease)
                }
            }.map(\.lease)
        }
        shared.withLock { shared in
            for lease in failed { shared.controls[lease] = nil }
        }
        inbox.yield(.prepared(leases: controls.map(\.lease).filter { !failed.contains($0) }, failed: failed))
    }

    private func run(_ control: RunControl, _ prepared: PreparedRun?, _ slot: Int, _ crew: Crew) async {
        let began = pool.clock.now()
        do {
            let known = control.claim.token.needsFiles ? try await crew.runner.fetch(control) : nil
            try await threads.run { [ready] in
                let first = try prepared ?? crew.runner.make(control, known: known)
                crew.runner.work(first, slot: slot, ready: ready) { next in
                    self.tell(.started(token: next.claim.token.id, lease: next.lease))
                } tell: { news in
                    self.take(news, slot, crew)
                }
            }
        } catch {
            take(.ended(control, begun: nil), slot, crew)
            take(.report(control, crew.runner.report(of: control, failed: error, since: began)), slot, crew)
        }
    }

    private func take(_ news: SlotNews, _ slot: Int, _ crew: Crew) {
        switch news {
        case .ended(let control, begun: nil):
            shared.withLock { _ = $0.slots.remove(slot) }
            inbox.yield(.ended(lease: control.lease))
        case .ended(let control, .some(let next)):
            inbox.yield(.succeeded(lease: control.lease, begun: next.claim))
        case .report(let control, let report):
            let server = pool.database.server
            // Under the lock, so that the task does not end before it is noted.
            shared.withLock { shared in
                let task = server.startOnTransportThread { await self.bring(report, of: control, crew) }
                if shared.isAbandoned { task.cancel() }
                shared.reports[control.lease] = task
            }
        }
    }

    /// Cuts short what is being reported, and what will be.
    func abandonReports() {
        let reports = shared.withLock { shared in
            shared.isAbandoned = true
            return Array(shared.reports.values)
        }
        for report in reports { report.cancel() }
    }

    /// Brings what a try left into the database.
    private func bring(_ report: RunReport, of control: RunControl, _ crew: Crew) async {
        let lease = control.lease
        let claim = control.claim
        let (outcome, isComplete) = await crew.reporter.report(report, of: claim)
        shared.withLock { $0.controls[lease] = nil }
        defer { shared.withLock { $0.reports[lease] = nil } }
        var retryAt: Timestamp?
        let id = claim.token.id
        switch outcome {
        case .saved(let token):
            noteContact()
            if report.result.outcome == .done {
                let time = report.result.ended - report.result.started
                shared.withLock { $0.lengths.append((token.pool.set ?? "", time)) }
            }
            let retries = token.state == .todo || token.state == .waiting
            if retries, report.result.outcome != .released { retryAt = token.pool.notBefore ?? report.result.ended }
            if report.result.outcome == .released {
                tell(.released(token: id))
            } else {
                // What was written counts, since a failed upload turns a good end into a bad one.
                let written = token.pool.history.last { $0.lease == lease }?.outcome ?? report.result.outcome
                tell(
                    .ended(
                        token: id, outcome: written, exitCode: report.result.exitCode,
                        time: report.result.ended - report.result.started, retries: retries))
            }
            if token.state == .done || token.state == .error { await freeDependents(of: id, token.pool.set) }
        case .superseded(let kept): tell(.superseded(token: id, lease: lease, kept: kept))
        case .failed(let error, let reason):
            noteLeft(because: error)
            trouble(reason)
        }
        if case .failed = outcome {} else { settle([lease]) }
        if isComplete && !options.keepsFolders { crew.cleaner.remove(report.folder) }
        inbox.yield(.reported(lease: lease, retryAt: retryAt))
    }
}
