import CouchDB
import CouchDocument

/// How far the tokens and sets are that others wait for.
struct DependencyProgress: Sendable {
    /// Those that ended well: a token that is done, a set of which every token is.
    private(set) var done: Set<String> = []
    /// Those that ended in whichever way: nothing of them will run any more by itself.
    private(set) var ended: Set<String> = []

    /// Looks them up: one request for all, and one more for each set among them.
    init(of ids: [String], in pool: Pool) async throws {
        let ids = Array(Set(ids))
        guard !ids.isEmpty else { return }
        for document in try await pool.database.documents(ids).compactMap({ $0 }) {
            if let set = TokenSet(document) {
                guard set.state == .ready || set.state == .cancelled, set.step == .finished else { continue }
                let counts = try await TokenSets(pool).counts(of: set.name)
                if counts.total == counts[.done] { done.insert(document.id) }
                if counts.total == counts.ended { ended.insert(document.id) }
            } else {
                let state = Token(document).state
                if state == .done { done.insert(document.id) }
                if state == .done || state == .error { ended.insert(document.id) }
            }
        }
    }

    /// Whether all that a token waits for has ended as it wants it.
    func allows(_ token: Token) -> Bool {
        token.pool.after.allSatisfy(done.contains) && token.pool.afterAny.allSatisfy(ended.contains)
    }
}

extension Token {
    /// What it waits for.
    var dependencies: [String] { pool.after + pool.afterAny }
}

extension Pool {
    /// Frees the tokens that waited for one of these tokens or sets to end, where nothing else holds them back.
    ///
    /// Costs one request when nobody waits for them, and looks at those who wait only when what they wait for has ended.
    public func releaseDependents(of ids: [String], now: Timestamp? = nil) async throws -> SweepReport {
        guard !ids.isEmpty else { return SweepReport() }
        var query = ViewQuery(keys: ids.map(JSON.string))
        query.group = true
        let awaited = try await database.view(.dependents, query).rows.compactMap(\.key.stringValue)
        return try await releaseDependents(ofAwaited: awaited, now: now ?? clock.now())
    }

    /// Looks at some of what others wait for, and frees those whose wait is over: for tokens that nobody freed when the
    /// last thing they waited for ended.
    ///
    /// - Parameters:
    ///   - cursor: Where to begin: what the last look answered; `nil` at the beginning.
    ///   - limit: How many tokens and sets that are waited for.
    /// - Returns: What was done, how many tokens and sets were looked at, and where to go on; `nil` when all was seen.
    public func releaseDependents(
        after cursor: String?, limit: Int = 200, now: Timestamp? = nil
    ) async throws -> (report: SweepReport, awaited: Int, cursor: String?) {
        var query = ViewQuery()
        query.group = true
        query.limit = limit
        query.startKey = cursor.map { .string($0 + "\u{0}") }
        let rows = try await database.view(.dependents, query).rows
        let awaited = rows.compactMap(\.key.stringValue)
        let report = try await releaseDependents(ofAwaited: awaited, now: now ?? clock.now())
        return (report, rows.count, rows.count == limit ? awaited.last : nil)
    }

    private func releaseDependents(ofAwaited ids: [String], now: Timestamp) async throws -> SweepReport {
        var report = SweepReport()
        let progress = try await DependencyProgress(of: ids, in: self)
        for id in ids where progress.ended.contains(id) {
            var query = ViewQuery(key: .string(id))
            query.reduce = false
            query.includeDocuments = true
            query.limit = Self.dependentsPage
            while true {
                let rows = try await database.view(.dependents, query).rows
                let waiting = rows.compactMap { $0.document.map(Token.init) }.filter {
                    $0.state == .waiting && $0.pool.hold == nil && ($0.pool.notBefore ?? now) <= now
                }
                let all = try await DependencyProgress(of: waiting.flatMap(\.dependencies), in: self)
                let ready = waiting.filter(all.allows).map { token in
                    var token = token
                    token.lock = 0
                    token.pool.notBefore = nil
                    return token
                }
                report.released += try await writeSwept(ready, &report).map(\.id)
                guard rows.count == Self.dependentsPage, let last = rows.last?.id else { break }
                query.startKey = .string(id)
                query.endKey = .string(id)
                query.key = nil
                query.startKeyDocumentID = last + "\u{0}"
            }
        }
        return report
    }

    private static let dependentsPage = 500
}
