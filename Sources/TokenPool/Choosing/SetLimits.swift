import CouchDB
import CouchDocument
import Synchronization

/// What set documents say of how much of the pool their sets may have, as read at most half a minute ago.
final class SetLimits: Sendable {
    private struct Entry {
        let limit: Int?
        let share: Double?
        let readAt: Timestamp
    }
    // Protects what was read, which any task may look for first.
    private let entries = Mutex<[String: Entry]>([:])
    private static let lifetime = Duration.seconds(30)

    /// How many tokens of the set may be held at once; `nil` any number.
    func limit(of set: String, in pool: Pool) async throws -> Int? { try await entry(set, pool)?.limit }

    /// The set's part of the pool beside others'; `nil` is 1.
    func share(of set: String, in pool: Pool) async throws -> Double? { try await entry(set, pool)?.share }

    private func entry(_ set: String, _ pool: Pool) async throws -> Entry? {
        guard !set.isEmpty else { return nil }
        let now = pool.clock.now()
        if let known = entries.withLock({ $0[set] }), now - known.readAt < Self.lifetime { return known }
        let document = try await pool.database.documentIfPresent(TokenSet.documentID(set)).flatMap(TokenSet.init)
        let entry = Entry(limit: document?.limit, share: document?.share, readAt: now)
        entries.withLock { $0[set] = entry }
        return entry
    }
}
