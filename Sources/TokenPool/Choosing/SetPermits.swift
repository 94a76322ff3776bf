import CouchDB
import CouchDocument
import Logging

/// Who is about to take tokens of a set of which only so many may be held at once: the document `limit_<set>`.
///
/// Before a claim a worker writes down how many it is going to take, and strikes that out when the locks are written. The
/// document is written on the revision that was read, before the tokens that are held are counted, so together there are
/// never more than the limit: what was claimed before shows in the count, what is being claimed stands in the document.
struct SetPermits: Hashable, Sendable {
    private(set) var document: Document
    /// A worker that died between the two leaves its entry; after so long it counts no more.
    static let lifetime = Duration.seconds(30)

    init(set: String, _ document: Document?) {
        self.document = document ?? Document(id: "limit_" + set, fields: ["type": "limit", "set": .string(set)])
    }

    private var pending: [JSON] { document["pending"]?.arrayValue ?? [] }

    /// Enters a claim of up to `wanted` tokens and answers how many there may be.
    mutating func reserve(_ wanted: Int, as name: String, limit: Int, held: Int, now: Timestamp) -> Int {
        let alive = pending.filter { entry in
            Timestamp(entry["at"]).map { now - $0 < Self.lifetime } ?? false
        }
        let promised = alive.reduce(0) { $0 + ($1["count"]?.intValue ?? 0) }
        let count = min(wanted, max(0, limit - held - promised))
        guard count > 0 else { return 0 }
        document["pending"] = .array(
            alive + [["name": .string(name), "count": .integer(count), "at": now.json]])
        return count
    }

    /// Strikes a claim out.
    mutating func strike(_ name: String) {
        document["pending"] = .array(pending.filter { $0["name"]?.stringValue != name })
    }
}

extension Pool {
    /// Runs a claim of tokens of a set with a limit; the body gets how many it may take.
    func permitted<Value>(
        _ wanted: Int, of set: String, limit: Int, _ claim: (Int) async throws -> Value
    ) async throws -> Value? {
        let name = Self.newLeaseID()
        var count: Int?
        for _ in 0..<Self.patience where count == nil {
            var permits = SetPermits(set: set, try await database.documentIfPresent("limit_" + set))
            // After the document: whoever struck out an entry that it still had shows in the count.
            var query = ViewQuery(key: .string(set))
            query.group = true
            let held = try await database.view(.running, query).rows.first?.value.intValue ?? 0
            let allowed = permits.reserve(wanted, as: name, limit: limit, held: held, now: clock.now())
            if allowed == 0 { return nil }
            do {
                try await database.save(permits.document)
                count = allowed
            } catch CouchDBError.conflict { continue }
        }
        guard let count else { return nil }
        do {
            let value = try await claim(count)
            try await strike(name, of: set)
            return value
        } catch {
            // What is not struck out counts no more after a while; the first error is the one to tell.
            do { try await strike(name, of: set) } catch let second {
                logger.warning("a limit is blocked for a moment", metadata: ["set": "\(set)", "error": "\(second)"])
            }
            throw error
        }
    }

    private func strike(_ name: String, of set: String) async throws {
        for _ in 0..<Self.patience * 3 {
            guard let document = try await database.documentIfPresent("limit_" + set) else { return }
            var permits = SetPermits(set: set, document)
            permits.strike(name)
            do {
                try await database.save(permits.document)
                return
            } catch CouchDBError.conflict { continue }
        }
    }
}
