import CouchDocument
import Dispatch
import GRDB
import Synchronization

/// What the parts of a database share: its file, its latest committed state, and the signal of changes.
final class DatabaseCore: Sendable {
    /// What the last commit left behind, for those who need no snapshot.
    struct Published: Sendable {
        var state: DatabaseState
        var settings: DatabaseSettings
        /// Counts commits that wrote a design document.
        var designGeneration = 0
        /// The design documents, of that generation.
        var designs: (generation: Int, documents: [DesignDocument])?
        var isCompacting = false
        var closing: StoreError?
    }

    let name: String
    let path: String
    let pool: DatabasePool
    private let shortReads: ReadQueue
    let tasks = DatabaseTasks()
    let attachmentStore: AttachmentStore
    let signal: ChangeSignal
    /// Protects ``Published``.
    let published: Mutex<Published>
    /// Told the sequence of each commit, on the writer's thread: it must not wait.
    let onCommit = CommitListener()
    /// What works on the files beside reads and the writer.
    private let works = DispatchGroup()

    init(name: String, path: String, attachmentsFolder: String) throws {
        self.name = name
        self.path = path
        do {
            let pool = try DatabaseFile.open(path: path, label: name)
            let (state, settings) = try pool.read { database in
                (try DatabaseState(reading: database), try DatabaseSettings(reading: database))
            }
            self.pool = pool
            shortReads = try ReadQueue(path: path, label: name)
            attachmentStore = AttachmentStore(folder: attachmentsFolder)
            signal = ChangeSignal(sequence: state.sequence)
            published = Mutex(Published(state: state, settings: settings))
        } catch {
            throw StoreError.wrapping(error, attempt: "open database \"\(name)\" in \(path)")
        }
    }

    /// Closes the file once reads and writes under way are done. New ones must have been refused before.
    func close() async throws {
        // SQLite's functions must not be called on a closed connection, and GRDB does.
        await withCheckedContinuation { continuation in works.notify(queue: .global()) { continuation.resume() } }
        try await attachmentStore.perform { try self.closeFile() }
    }

    private func closeFile() throws {
        try shortReads.close()
        try pool.writeWithoutTransaction { database in
            // The file alone is the whole database then. A reader that is still at it only puts that off.
            do { _ = try database.checkpoint(.truncate) } catch let error as DatabaseError
                where error.resultCode == .SQLITE_BUSY
            {}
        }
        try pool.close()
    }

    /// Takes over what a transaction changed. Called by the writer's thread, in the order of commits.
    func didCommit(_ writer: EditWriter) {
        published.withLock { published in
            published.state = writer.state
            published.settings = writer.settings
            if writer.touchesDesignDocuments { published.designGeneration += 1 }
        }
        signal.advance(to: writer.state.sequence)
        onCommit.tell(writer.state.sequence)
    }

    /// Reads from a snapshot of its own, on a thread of the pool.
    func read<Value: Sendable>(_ body: @escaping @Sendable (DocumentRows) throws -> Value) async throws -> Value {
        try refuseWhenClosed()
        do {
            return try await pool.read { database in try body(DocumentRows(database: database)) }
        } catch {
            try refuseWhenClosed()
            throw StoreError.wrapping(error, attempt: "read database \"\(name)\"")
        }
    }

    /// Reads a few rows from a snapshot that others may share.
    func readShortly<Value: Sendable>(_ body: @escaping @Sendable (DocumentRows) throws -> Value) async throws -> Value
    {
        try refuseWhenClosed()
        do {
            return try await shortReads.perform { database in try body(DocumentRows(database: database)) }
        } catch {
            try refuseWhenClosed()
            throw StoreError.wrapping(error, attempt: "read database \"\(name)\"")
        }
    }

    /// Reads on the caller's own thread, which must be one that may block.
    func readBlocking<Value>(_ body: (DocumentRows) throws -> Value) throws -> Value {
        try refuseWhenClosed()
        do {
            return try pool.read { database in try body(DocumentRows(database: database)) }
        } catch {
            try refuseWhenClosed()
            throw StoreError.wrapping(error, attempt: "read database \"\(name)\"")
        }
    }

    /// Runs blocking work on the files that is neither a read nor an edit, on a thread that may block. The files stay open
    /// until it is done.
    func workOnFiles<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try published.withLock { published in
            if let closing = published.closing { throw closing }
            // Entered under the lock: whoever closes waits for it.
            works.enter()
        }
        defer { works.leave() }
        return try await attachmentStore.perform(body)
    }

    func refuseWhenClosed() throws {
        if let closing = published.withLock({ $0.closing }) { throw closing }
    }
}

/// What view indexes read: the sequence log of this database.
struct DatabaseViewSource: ViewSource {
    let core: DatabaseCore

    func lastSequence() throws -> Int { core.signal.sequence }

    func changes(after first: Int, through last: Int) throws -> ViewChanges {
        try core.readBlocking { try $0.viewChanges(after: first, through: last) }
    }

    func atOneMoment(_ body: (any ViewSource) throws -> Void) throws {
        try core.refuseWhenClosed()
        let snapshot: DatabaseSnapshot
        do {
            snapshot = try core.pool.makeSnapshot()
        } catch {
            throw StoreError.wrapping(error, attempt: "read database \"\(core.name)\"")
        }
        try body(SnapshotViewSource(reader: snapshot))
    }
}

/// The sequence log as one reader of a database file has it, for as long as it does.
struct SnapshotViewSource: ViewSource {
    let reader: any DatabaseReader

    func lastSequence() throws -> Int { try reader.read { try DocumentRows(database: $0).updateSequence() } }

    func changes(after first: Int, through last: Int) throws -> ViewChanges {
        try reader.read { try DocumentRows(database: $0).viewChanges(after: first, through: last) }
    }

    func atOneMoment(_ body: (any ViewSource) throws -> Void) throws { try body(self) }
}

extension DocumentRows {
    private static let purgesInPage = 500

    /// A page of changes and purges in the order of their sequences, with the texts that map functions see.
    func viewChanges(after first: Int, through last: Int) throws -> ViewChanges {
        var last = last
        let purges = try purges(after: first, through: last)
        // There may be more: the page ends with this one.
        if purges.count == Self.purgesInPage, let end = purges.last { last = end.sequence }
        var page = ViewChanges()
        let row = try SQLStatement(
            database,
            """
            SELECT \(Self.columnsWithBody) FROM documents WHERE sequence > ? AND sequence <= ? ORDER BY sequence
            """
        ).bind(1, first).bind(2, last)
        defer { row.reset() }
        while !page.isFull, try row.step() {
            let document = Self.document(row, withBody: true)
            if document.isDeleted {
                page.append(document.id, sequence: document.sequence)
            } else {
                page.append(document.id, sequence: document.sequence) { writer in
                    document.write(to: &writer, details: [.conflicts])
                }
            }
        }
        if page.isFull { last = page.lastSequence }
        page.add(purges.filter { $0.sequence <= last })
        return page
    }

    private func purges(after first: Int, through last: Int) throws -> [(id: String, sequence: Int)] {
        var purges: [(id: String, sequence: Int)] = []
        let row = try SQLStatement(
            database, "SELECT id, sequence FROM purges WHERE sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?"
        ).bind(1, first).bind(2, last).bind(3, Self.purgesInPage)
        defer { row.reset() }
        while try row.step() { purges.append((row.text(0), row.integer(1))) }
        return purges
    }
}
