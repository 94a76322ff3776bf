import CouchDB
import CouchDocument
import Logging

/// What a sweep did.
public struct SweepReport: Hashable, Sendable {
    /// Tokens whose worker was not heard of in time and that are back in the pool, now or after a pause.
    public var returned: [String] = []
    /// Tokens whose worker was not heard of in time and that had no tries left.
    public var givenUp: [String] = []
    /// Waiting tokens that became free.
    public var released: [String] = []
    /// Sets whose release or deletion somebody had left half done.
    public var finishedSets: [String] = []
    /// Numbers of projects that were ended, abandoned or removed because it was time.
    public var closedProjects: [Int] = []
    /// Files whose new replicas somebody had not told to all projects.
    public var finishedReplicas: [String] = []
    /// Workers that vanished and whose documents are gone now.
    public var removedWorkers: [String] = []
    /// Documents of which a cluster kept more than one version.
    public var repaired: [String] = []
    /// What could not be done, a line each.
    public var failures: [String] = []
    /// Writes that somebody else had done first.
    public var lostRaces = 0
    /// When the next thing is due that was seen.
    public var nextDue: Timestamp?
    /// Whether there may be more to do at once.
    public var isFull = false

    /// A report of nothing.
    public init() {}

    /// Whether nothing was done and nothing went wrong.
    public var isEmpty: Bool { !didWork && failures.isEmpty }

    /// Whether anything was done.
    public var didWork: Bool {
        !(returned.isEmpty && givenUp.isEmpty && released.isEmpty && finishedSets.isEmpty && closedProjects.isEmpty
            && finishedReplicas.isEmpty && removedWorkers.isEmpty && repaired.isEmpty)
    }

    /// Whether it made tokens free.
    public var freed: Bool {
        !returned.isEmpty || !released.isEmpty || !finishedSets.isEmpty || !finishedReplicas.isEmpty
    }

    /// Takes in what another sweep did.
    public mutating func add(_ other: SweepReport) {
        returned += other.returned
        givenUp += other.givenUp
        released += other.released
        finishedSets += other.finishedSets
        closedProjects += other.closedProjects
        finishedReplicas += other.finishedReplicas
        removedWorkers += other.removedWorkers
        repaired += other.repaired
        failures += other.failures
        lostRaces += other.lostRaces
        nextDue = [nextDue, other.nextDue].compactMap { $0 }.min()
        isFull = isFull || other.isFull
    }
}

extension Pool {
    /// Sees to everything that is due: tokens whose worker was not heard of in time go back or are given up, tokens whose
    /// time has come become free, what others left half done with a set is finished, and vanished workers are forgotten.
    ///
    /// One request when there is nothing to do, however large the pool is. Any number of janitors and idle workers may do
    /// it at once: whoever comes late gets a conflict and leaves it.
    ///
    /// - Parameters:
    ///   - now: The moment to compare with; `nil` is the pool's clock.
    ///   - limit: How many things at most.
    ///   - grace: By how much the clocks of the machines may differ.
    ///   - horizon: How far to look ahead for what is due next.
    public func sweep(
        now: Timestamp? = nil, limit: Int = 1000, grace: Duration = .seconds(5), horizon: Duration = .zero
    ) async throws -> SweepReport {
        let now = now ?? clock.now()
        var query = ViewQuery(startKey: 0, endKey: (now + horizon).json)
        query.limit = limit
        query.reduce = false
        var report = SweepReport()
        var due: [String: [String]] = [:]
        let rows: [ViewRow]
        do { rows = try await database.view(.due, query).rows } catch CouchDBError.notFound {
            throw try await missing("view \"\(ViewName.due)\" is not in")
        }
        for row in rows {
            guard let kind = row.value.stringValue, let id = row.id, let time = Timestamp(row.key) else { continue }
            let moment = kind == "lease" ? time + grace : time
            if moment <= now {
                due[kind, default: []].append(id)
            } else {
                report.nextDue = min(report.nextDue ?? moment, moment)
            }
        }
        report.isFull = rows.count == limit && report.nextDue == nil
        try await takeBack(due["lease"] ?? [], now, grace, &report)
        try await release(due["token"] ?? [], now, &report)
        try await finishSets(due["set"] ?? [], &report)
        try await forgetWorkers(due["worker"] ?? [], now, &report)
        let projects = Projects(self)
        try await projects.takeBack(due["file"] ?? [], now, &report)
        try await projects.tend(due["project"] ?? [], now, &report)
        try await projects.spread(due["replicas"] ?? [], now, &report)
        return report
    }

    private func takeBack(
        _ ids: [String], _ now: Timestamp, _ grace: Duration, _ report: inout SweepReport
    ) async throws {
        let lapsed = try await tokens(ids).compactMap { token -> Token? in
            guard let lease = token.lease, lease.isExpired(at: now - grace) else { return nil }
            var token = token
            token.retire(
                Attempt(
                    lease: lease.id, worker: lease.worker, host: token.hostname,
                    started: Timestamp(seconds: lease.since), ended: now, outcome: .lapsed))
            token.addError("worker \(lease.worker) was not heard of in time", at: now)
            return token
        }
        note(try await writeSwept(lapsed, &report), &report)
    }

    /// Takes back tokens that a worker without a lease (PiCaS, GRID_LRT) has held for longer than that.
    ///
    /// Such a worker does not say that it lives: choose an age that no honest run reaches. Its result comes too late then,
    /// and PiCaS drops it.
    public func takeBackForeign(olderThan age: Duration, now: Timestamp? = nil, limit: Int = 1000) async throws
        -> SweepReport
    {
        let now = now ?? clock.now()
        let newest = (now - age).seconds
        var query = ViewQuery(startKey: 1, endKey: .integer(newest))
        query.limit = limit
        query.reduce = false
        query.includeDocuments = true
        var report = SweepReport()
        let rows = try await database.view(.foreign, query).rows
        report.isFull = rows.count == limit
        let old = rows.compactMap { $0.document.map(Token.init) }.compactMap { token -> Token? in
            guard token.state == .locked, token.lease == nil, token.lock <= newest else { return nil }
            var token = token
            // Its worker counts no tries, but this was one.
            token.pool.attempts += 1
            token.retire(
                Attempt(
                    lease: "", worker: "", host: token.hostname, started: Timestamp(seconds: token.lock), ended: now,
                    outcome: .lapsed, reason: "a worker without a lease held it for too long"))
            token.addError("a worker without a lease held it for too long", at: now)
            return token
        }
        note(try await writeSwept(old, &report), &report)
        return report
    }

    private func note(_ tokens: [Token], _ report: inout SweepReport) {
        for token in tokens {
            if token.state == .error { report.givenUp.append(token.id) } else { report.returned.append(token.id) }
        }
    }

    /// Frees tokens whose time has come. One that also waits for others waits only for them from now on.
    private func release(_ ids: [String], _ now: Timestamp, _ report: inout SweepReport) async throws {
        let due = try await tokens(ids).filter {
            $0.state == .waiting && $0.pool.hold == nil && ($0.pool.notBefore ?? now) <= now
        }
        let progress = try await DependencyProgress(of: due.flatMap(\.dependencies), in: self)
        let changed = due.map { token in
            var token = token
            if progress.allows(token) { token.lock = 0 }
            token.pool.notBefore = nil
            return token
        }
        report.released += try await writeSwept(changed, &report).filter { $0.state == .todo }.map(\.id)
    }

    private func finishSets(_ ids: [String], _ report: inout SweepReport) async throws {
        guard !ids.isEmpty else { return }
        report.finishedSets += try await TokenSets(self).resumeInterrupted(ids)
    }

    private func forgetWorkers(_ ids: [String], _ now: Timestamp, _ report: inout SweepReport) async throws {
        let gone = try await database.documents(ids).compactMap { $0 }.filter {
            $0["type"] == "worker" && (Timestamp($0["until"]) ?? now) <= now
        }
        guard !gone.isEmpty else { return }
        let tombstones = gone.map { worker in
            var tombstone = Document(id: worker.id, fields: ["_deleted": true])
            tombstone.revision = worker.revision
            return tombstone
        }
        for (worker, outcome) in zip(gone, try await database.bulkSave(tombstones)) where outcome.error == nil {
            report.removedWorkers.append(worker["name"]?.stringValue ?? worker.id)
        }
    }

    private func tokens(_ ids: [String]) async throws -> [Token] {
        try await database.documents(ids).compactMap { $0.map(Token.init) }
    }

    /// Writes in one request; conflicts mean that somebody else was first. What is refused keeps nobody from the rest.
    func writeSwept(_ tokens: [Token], _ report: inout SweepReport) async throws -> [Token] {
        guard !tokens.isEmpty else { return [] }
        var written: [Token] = []
        for (token, outcome) in zip(tokens, try await database.bulkSave(tokens.map(\.document))) {
            switch outcome {
            case .saved(_, let revision, _): written.append(token.saved(as: revision))
            case .failed(_, let error):
                if error.code == .conflict {
                    report.lostRaces += 1
                } else {
                    report.failures.append("token \"\(token.id)\" can not be written: \(error)")
                }
            }
        }
        return written
    }
}
