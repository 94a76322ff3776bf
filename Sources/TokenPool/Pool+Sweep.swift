import CouchDB
import CouchDocument
import Logging

/// What a sweep did.
public struct SweepReport: Hashable, Sendable {
    /// Tokens whose lease had lapsed and that are back in the pool.
    public var returned: [String] = []
    /// Tokens whose lease had lapsed and that had no tries left.
    public var givenUp: [String] = []
    /// Waiting tokens that became due.
    public var released: [String] = []

    /// Whether there was nothing to do.
    public var isEmpty: Bool { returned.isEmpty && givenUp.isEmpty && released.isEmpty }
}

extension Pool {
    /// Takes back tokens whose worker was not heard of in time.
    ///
    /// Reads only leases that are over, so it costs little however large the pool is. Any number of janitors and idle
    /// workers may do it at once: whoever comes late gets a conflict and leaves it.
    ///
    /// - Parameters:
    ///   - now: The moment to compare with; `nil` is the pool's clock.
    ///   - limit: How many tokens at most.
    ///   - grace: By how much the clocks of the machines may differ.
    public func sweepExpiredLeases(now: Timestamp? = nil, limit: Int = 1000, grace: Duration = .seconds(5)) async throws
        -> SweepReport
    {
        let now = now ?? clock.now()
        let candidates = try await sweepPage(.leases, through: now - grace, limit: limit)
        var report = SweepReport()
        let changed = candidates.compactMap { token -> Token? in
            guard let lease = token.lease, lease.isExpired(at: now - grace) else { return nil }
            var token = token
            token.retire(
                Attempt(
                    lease: lease.id, worker: lease.worker, host: token.hostname,
                    started: Timestamp(seconds: lease.since),
                    ended: now, outcome: .lapsed))
            token.addError("worker \(lease.worker) was not heard of in time", at: now)
            return token
        }
        for token in try await writeSwept(changed) {
            if token.state == .error { report.givenUp.append(token.id) } else { report.returned.append(token.id) }
        }
        return report
    }

    /// Frees waiting tokens whose time has come, unless they also wait for others.
    public func releaseDue(now: Timestamp? = nil, limit: Int = 1000) async throws -> SweepReport {
        let now = now ?? clock.now()
        let due = try await sweepPage(.waiting, from: 1, through: now, limit: limit)
            .filter { $0.state == .waiting && $0.pool.hold == nil && ($0.pool.notBefore ?? now) <= now }
        var report = SweepReport()
        let ready = try await readyTokens(due)
        report.released = try await writeSwept(ready).map(\.id)
        return report
    }

    /// Frees waiting tokens that have no time to wait for and whose `after` is done by now.
    ///
    /// For those that nobody freed when the last thing they waited for was done. Looks at `limit` tokens.
    public func releaseDependents(now: Timestamp? = nil, limit: Int = 1000) async throws -> SweepReport {
        let waiting = try await sweepPage(.waiting, from: 0, through: Timestamp(seconds: 0), limit: limit)
            .filter { $0.state == .waiting && $0.pool.hold == nil && !$0.pool.after.isEmpty }
        var report = SweepReport()
        report.released = try await writeSwept(try await readyTokens(waiting)).map(\.id)
        return report
    }

    /// Whether any token waits for another.
    public func hasDependents() async throws -> Bool {
        var query = ViewQuery()
        query.limit = 1
        query.reduce = false
        return try await !database.view(.dependents, query).rows.isEmpty
    }

    /// Frees the tokens that waited for one of these to be done, where nothing else holds them back.
    public func releaseDependents(of ids: [String], now: Timestamp? = nil) async throws -> SweepReport {
        var report = SweepReport()
        guard !ids.isEmpty else { return report }
        let now = now ?? clock.now()
        var query = ViewQuery()
        query.keys = ids.map(JSON.string)
        query.includeDocuments = true
        query.reduce = false
        let rows = try await database.view(.dependents, query).rows
        var seen: Set<String> = []
        let waiting = rows.compactMap { $0.document.map(Token.init) }.filter {
            seen.insert($0.id).inserted && $0.state == .waiting && $0.pool.hold == nil
                && ($0.pool.notBefore ?? now) <= now
        }
        report.released = try await writeSwept(try await readyTokens(waiting)).map(\.id)
        return report
    }

    /// Of these waiting tokens, those whose `after` is done, made free.
    private func readyTokens(_ waiting: [Token]) async throws -> [Token] {
        let needed = Array(Set(waiting.flatMap(\.pool.after)))
        var done: Set<String> = []
        if !needed.isEmpty {
            for document in try await database.documents(needed).compactMap({ $0 }) {
                let isDone = document["type"] == "set" ? try await isSetDone(document) : Token(document).state == .done
                if isDone { done.insert(document.id) }
            }
        }
        return waiting.compactMap { token in
            guard token.pool.after.allSatisfy(done.contains) else { return nil }
            var token = token
            token.lock = 0
            token.pool.notBefore = nil
            return token
        }
    }

    private func isSetDone(_ document: Document) async throws -> Bool {
        guard let name = document["name"]?.stringValue, document["state"] == "ready" else { return false }
        var query = ViewQuery()
        query.startKey = [.string(name)]
        query.endKey = [.string(name), .object([:])]
        query.groupLevel = 2
        let rows = try await database.view(ViewName(design: "tokenpool", view: "states"), query).rows
        return rows.allSatisfy { $0.key[1] == "done" }
    }

    private func sweepPage(_ view: ViewName, from start: JSON? = nil, through end: Timestamp, limit: Int) async throws
        -> [Token]
    {
        var query = ViewQuery()
        query.startKey = start
        query.endKey = end.json
        query.limit = limit
        query.includeDocuments = true
        query.reduce = false
        return try await database.view(view, query).rows.compactMap { $0.document.map(Token.init) }
    }

    /// Writes in one request; conflicts mean that somebody else was first.
    private func writeSwept(_ tokens: [Token]) async throws -> [Token] {
        guard !tokens.isEmpty else { return [] }
        return try zip(tokens, await database.bulkSave(tokens.map(\.document))).compactMap { token, outcome in
            switch outcome {
            case .saved(_, let revision, _): return token.saved(as: revision)
            case .failed(_, let error):
                guard error.code == .conflict else { throw error }
                return nil
            }
        }
    }
}
