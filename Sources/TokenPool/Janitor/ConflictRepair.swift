import CouchDB
import CouchDocument

/// Which of several living versions of a token stays.
///
/// On a cluster two writers can both be told that they were first; replication brings versions together that went their
/// own ways. A finished version stays, else the one with the oldest lease: its worker began first, and the others will
/// find their leases gone. The same versions always lead to the same choice, so any number of janitors agree.
struct ConflictRepair: Hashable, Sendable {
    /// The version that stays, with what the others knew of tries.
    let kept: Token
    /// Whether ``kept`` differs from what is stored.
    let isChanged: Bool
    /// The versions that go although their workers brought them to an end: their results are to be kept.
    let superseded: [Token]
    /// The revisions that go.
    let removed: [Revision]

    /// A claim that meets a conflict steps back by itself: so long it is left alone.
    static let calm = Duration.seconds(10)

    /// Decides between versions. `nil` while one of them is so young that its worker may still be sorting it out.
    init?(_ versions: [Token], now: Timestamp) {
        guard versions.count > 1, let best = Self.best(of: versions) else { return nil }
        let youngest = versions.compactMap { $0.lease?.since }.max()
        if let youngest, now - Timestamp(seconds: youngest) < Self.calm { return nil }
        var kept = best
        var history = best.pool.history
        for version in versions where version.revision != best.revision {
            for attempt in version.pool.history
            where !history.contains(where: { $0.lease == attempt.lease && $0.ended == attempt.ended }) {
                history.append(attempt)
            }
        }
        isChanged = history.count > best.pool.history.count
        if isChanged { kept.pool.history = history.sorted { ($0.ended, $0.lease) < ($1.ended, $1.lease) } }
        self.kept = kept
        removed = versions.compactMap(\.revision).filter { $0 != best.revision }
        superseded = versions.filter { version in
            guard version.revision != best.revision, let end = version.pool.history.last else { return false }
            // An end that both know is the same one, written before they parted.
            return (version.state == .done || version.state == .error)
                && !best.pool.history.contains { $0.lease == end.lease && $0.outcome == end.outcome }
        }
    }

    /// The version that stays.
    static func best(of versions: [Token]) -> Token? { versions.min(by: isBetter) }

    private static func isBetter(_ left: Token, _ right: Token) -> Bool {
        let (a, b) = (rank(left), rank(right))
        if a != b { return a < b }
        switch left.state {
        case .done,
            .error where left.done != right.done:
            return left.done < right.done
        case .locked:
            let (a, b) = (left.lease, right.lease)
            let (first, second) = ((a?.since ?? left.lock, a?.id ?? ""), (b?.since ?? right.lock, b?.id ?? ""))
            if first != second { return first < second }
        default: break
        }
        return (left.revision?.description ?? "") > (right.revision?.description ?? "")
    }

    private static func rank(_ token: Token) -> Int {
        switch token.state {
        case .done: 0
        case .error: 1
        case .locked: token.lease == nil ? 3 : 2
        case .todo: 4
        case .waiting: 5
        }
    }
}

extension Pool {
    /// Leaves one version of every token of which there are several, and one of every set and worker.
    ///
    /// Costs one request when there are none.
    public func repairConflicts(now: Timestamp? = nil, limit: Int = 100) async throws -> SweepReport {
        let now = now ?? clock.now()
        var query = ViewQuery(limit: limit)
        query.reduce = false
        var report = SweepReport()
        let rows = try await database.view(.conflicts, query).rows
        report.isFull = rows.count == limit
        let wanted = rows.flatMap { row -> [(id: String, revision: Revision?)] in
            guard let id = row.id else { return [] }
            return row.value.arrayValue?.compactMap(\.stringValue).compactMap { Revision($0) }.map { (id, $0) } ?? []
        }
        var versions: [String: [Document]] = [:]
        for result in try await database.bulkGet(wanted) {
            // A version that is gone by now was removed by somebody else.
            for case .success(let document) in result where document["_deleted"] != true {
                versions[document.id, default: []].append(document)
            }
        }
        for (id, documents) in versions.sorted(by: { $0.key < $1.key }) where documents.count > 1 {
            if try await repair(id, documents, now) { report.repaired.append(id) }
        }
        return report
    }

    private func repair(_ id: String, _ documents: [Document], _ now: Timestamp) async throws -> Bool {
        guard documents[0]["lock"] != nil else {
            guard documents[0]["type"] == "set" || documents[0]["type"] == "worker" else {
                return false  // Not ours to judge.
            }
            // The first of the row is what CouchDB shows to everybody.
            return try await remove(id, documents.dropFirst().compactMap(\.revision))
        }
        guard let repair = ConflictRepair(documents.map(Token.init), now: now) else { return false }
        var kept = repair.kept
        var isChanged = repair.isChanged
        if !kept.pool.dropsSuperseded {
            for loser in repair.superseded {
                guard let result = try await result(of: loser),
                    kept.document.attachments[result.name] == nil
                else { continue }
                kept.attach(result)
                isChanged = true
            }
        }
        guard isChanged else { return try await remove(id, repair.removed) }
        // The worker that holds the version that stays, when its write meets ours, must find it alone. Nobody holds one that
        // has ended, and there the others' results must be safe before they go.
        let isHeld = kept.state == .locked
        if isHeld, try await !remove(id, repair.removed) { return false }
        guard case .saved = try await save(kept) else { return isHeld }
        return isHeld ? true : try await remove(id, repair.removed)
    }

    /// Removes versions; whether all are gone.
    private func remove(_ id: String, _ revisions: [Revision]) async throws -> Bool {
        for revision in revisions {
            // Somebody else may have moved that version on: the next look sees it as it is then.
            do { try await database.delete(id, revision: revision) } catch CouchDBError.conflict { return false }
        }
        return true
    }

    /// What a worker left in a version that goes: its result with its small files, and the names of the larger ones.
    private func result(of version: Token) async throws -> TokenResult.InlineAttachment? {
        guard let end = version.pool.history.last else { return nil }
        var record: JSONObject = [
            "token": .string(version.id), "attempt": .integer(version.pool.attempts),
            "revision": .string(version.revision?.description ?? ""),
        ]
        record.merge(end.json.objectValue ?? [:])
        record["output"] = version.output
        if version.uploads?.objectValue?.isEmpty == false { record["uploads"] = version.uploads }
        if !version.errors.isEmpty { record["error"] = .array(version.errors) }
        var large: [JSON] = []
        for (name, stub) in version.document.attachments {
            let length = stub["length"]?.intValue ?? 0
            guard length <= Self.keptFileLimit else {
                large.append(["name": .string(name), "length": .integer(length)])
                continue
            }
            let body = try await database.attachment(name, of: version.id, revision: version.revision)
            record["text:" + name] = .string(String(decoding: try await body.bytes(upTo: length), as: UTF8.self))
        }
        if !large.isEmpty { record["not_kept"] = .array(large) }
        return .init(
            name: "attempt-\(end.lease).json", contentType: "application/json", bytes: JSON.object(record).encoded())
    }

    /// Larger files of a version that goes are only named.
    private static let keptFileLimit = 64 << 10
}
