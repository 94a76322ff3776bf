import CouchDB
import CouchDocument

/// What a pool wants of its janitors: the document `pool_settings`, so that all of them agree.
public struct JanitorSettings: Hashable, Sendable {
    /// After how long a token is taken back from a worker that knows no leases (PiCaS, GRID_LRT); `nil` never.
    public var takeBackAfter: Duration?

    /// After how long a project that came to its end is removed with all its files; `nil` never.
    public var removeProjectsAfter: Duration?

    /// The document's id.
    public static let documentID = "pool_settings"

    /// The usual settings: tokens without a lease are left alone, and projects stay.
    public init(takeBackAfter: Duration? = nil, removeProjectsAfter: Duration? = nil) {
        self.takeBackAfter = takeBackAfter
        self.removeProjectsAfter = removeProjectsAfter
    }

    init(_ document: Document) {
        takeBackAfter = document["take_back_after"]?.intValue.flatMap { $0 > 0 ? .seconds($0) : nil }
        removeProjectsAfter = document["remove_projects_after"]?.intValue.flatMap { $0 > 0 ? .seconds($0) : nil }
    }
}

extension Pool {
    /// The pool's settings for its janitors.
    public func janitorSettings() async throws -> JanitorSettings {
        do {
            return try await database.documentIfPresent(JanitorSettings.documentID).map(JanitorSettings.init)
                ?? JanitorSettings()
        } catch CouchDBError.notFound {
            throw try await missing("settings can not be read in")
        }
    }

    /// Writes the pool's settings for its janitors; other members of the document stay.
    public func save(_ settings: JanitorSettings) async throws {
        for _ in 0..<Self.patience {
            var document =
                try await database.documentIfPresent(JanitorSettings.documentID)
                ?? Document(id: JanitorSettings.documentID, fields: ["type": "settings"])
            document["take_back_after"] = settings.takeBackAfter.map { .integer(Int($0.components.seconds)) }
            document["remove_projects_after"] = settings.removeProjectsAfter.map {
                .integer(Int($0.components.seconds))
            }
            do {
                try await database.save(document)
                return
            } catch CouchDBError.conflict { continue }
        }
        throw PoolError(.contended, "writing the pool's settings: others changed them each time; try again")
    }
}
