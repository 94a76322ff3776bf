import CouchDocument
import GRDB
import Logging
import Synchronization

/// One database: documents, their revisions and attachments, local documents, the security object, views.
///
/// Every read is a snapshot that no writer can hold up. Writes of concurrent callers are gathered into one transaction; an
/// answer comes only after it is on disk. A database that was deleted answers every call with ``StoreError/Code/closed``.
package final class StoredDatabase: Sendable {
    /// The name, `/` and all.
    package let name: String
    /// Seconds since 1970 at which the database was made; stays the same for its life, as replicators expect.
    package let instanceStartTime: String
    /// 32 hex digits that no other database has.
    package let uuid: String
    /// Whether documents are in partitions: see ``Partition``.
    package let isPartitioned: Bool
    /// How many shards its maker asked for; it has one, but clients read back what they asked for.
    package let shards: Int
    /// The views and functions of its design documents. Made at the first call.
    package var views: ViewIndexes {
        madeViews.withLock { made in
            if let made { return made }
            let new = ViewIndexes(
                folder: viewsFolder, source: DatabaseViewSource(core: core), isPartitioned: isPartitioned,
                tasks: core.tasks, logger: logger)
            made = new
            core.onCommit.set { [weak new] in new?.didCommit($0) }
            return new
        }
    }

    let core: DatabaseCore
    let queue: WriteQueue
    let logger: Logger
    private let viewsFolder: String
    /// Protects that there is one set of view indexes only.
    private let madeViews = Mutex<ViewIndexes?>(nil)

    /// Opens the database in that file.
    init(
        name: String, path: String, attachmentsFolder: String, viewsFolder: String, logger: Logger
    ) throws {
        let core = try DatabaseCore(
            name: name, path: path, attachmentsFolder: attachmentsFolder)
        self.name = name
        self.core = core
        self.logger = logger
        self.viewsFolder = viewsFolder
        let stored = core.published.withLock { $0.settings }
        uuid = stored.uuid
        instanceStartTime = stored.instanceStartTime
        isPartitioned = stored.isPartitioned
        shards = stored.shards
        queue = WriteQueue(
            pool: core.pool, label: name,
            makeWriter: { database in
                let (state, settings) = core.published.withLock { ($0.state, $0.settings) }
                return try EditWriter(
                    database: database, state: state, settings: settings, attachmentStore: core.attachmentStore)
            },
            didCommit: { core.didCommit($0) })
    }

    /// What it is busy with.
    package var tasks: DatabaseTasks { core.tasks }

    /// Counts, sizes and sequences.
    package func info() async throws -> DatabaseSummary {
        try core.refuseWhenClosed()
        let path = core.path
        let (files, free) = try await core.read { rows -> (Int, Int) in
            func pragma(_ name: String) throws -> Int {
                let row = try SQLStatement(rows.database, "PRAGMA \(name)")
                defer { row.reset() }
                return try row.step() ? row.integer(0) : 0
            }
            let page = try pragma("page_size")
            return (fileSize(path) + fileSize(path + "-wal"), try pragma("freelist_count") * page)
        }
        let (state, isCompacting) = core.published.withLock { ($0.state, $0.isCompacting) }
        return DatabaseSummary(
            documentCount: state.documents, deletedCount: state.deleted, updateSequence: state.sequence,
            purgeSequence: state.purgeSequence, fileSize: files,
            externalSize: state.bodyBytes + state.attachmentBytes,
            activeSize: max(0, files - free - state.supersededBytes), isCompacting: isCompacting,
            commitCount: queue.commitCount)
    }

    // MARK: Settings

    /// The security object. Kept in memory; a new database's is admin-only.
    package var security: JSONObject { core.published.withLock { $0.settings.security } }

    /// Replaces the security object.
    package func setSecurity(_ security: JSONObject) async throws {
        try await change("set the security object") { try $0.setSecurity(security) }
    }

    /// How many revisions of a branch are remembered (1000).
    package var revisionsLimit: Int { core.published.withLock { $0.settings.revisionsLimit } }

    /// Sets ``revisionsLimit``; applies to a document at its next edit.
    package func setRevisionsLimit(_ limit: Int) async throws {
        guard limit > 0 else { throw StoreError(.badRequest, "`rev_limit` must be a positive integer") }
        try await change("set the revisions limit") { try $0.setRevisionsLimit(limit) }
    }

    /// How many purges CouchDB would remember (1000); the store remembers all.
    package var purgedInfosLimit: Int { core.published.withLock { $0.settings.purgedInfosLimit } }

    /// Sets ``purgedInfosLimit``.
    package func setPurgedInfosLimit(_ limit: Int) async throws {
        guard limit > 0 else { throw StoreError(.badRequest, "`purged_infos_limit` must be a positive integer") }
        try await change("set the purged infos limit") { try $0.setPurgedInfosLimit(limit) }
    }

    /// Runs a change in the next transaction.
    func change<Value: Sendable>(
        _ attempt: String, _ body: @escaping @Sendable (inout EditWriter) throws -> Value
    ) async throws -> Value {
        do {
            return try await queue.perform(body)
        } catch {
            throw StoreError.wrapping(error, attempt: "\(attempt) in database \"\(name)\"")
        }
    }

    // MARK: The end

    /// Ends all work with this error, waits for writes under way and closes the file.
    func close(_ error: StoreError) async throws {
        core.published.withLock { $0.closing = error }
        core.signal.close(error)
        await queue.close(error)
        await madeViews.withLock { $0 }?.close()
        try await core.close()
    }
}
