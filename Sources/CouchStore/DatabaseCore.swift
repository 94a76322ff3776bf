import CouchDocument
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
    let attachmentStore: AttachmentStore
    let signal: ChangeSignal
    /// Protects ``Published``.
    let published: Mutex<Published>

    init(name: String, path: String, attachmentsFolder: String) throws {
        self.name = name
        self.path = path
        do {
            let pool = try DatabaseFile.open(path: path, label: name)
            let (state, settings) = try pool.read { database in
                (try DatabaseState(reading: database), try DatabaseSettings(reading: database))
            }
            self.pool = pool
            shortReads = ReadQueue(pool: pool, label: name)
            attachmentStore = AttachmentStore(folder: attachmentsFolder)
            signal = ChangeSignal(sequence: state.sequence)
            published = Mutex(Published(state: state, settings: settings))
        } catch {
            throw StoreError.wrapping(error, attempt: "open database \"\(name)\" in \(path)")
        }
    }

    /// Takes over what a transaction changed. Called by the writer's thread, in the order of commits.
    func didCommit(_ writer: EditWriter) {
        published.withLock { published in
            published.state = writer.state
            published.settings = writer.settings
            if writer.touchesDesignDocuments { published.designGeneration += 1 }
        }
        signal.advance(to: writer.state.sequence)
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
            return try await shortReads.perform(body)
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

    func refuseWhenClosed() throws {
        if let closing = published.withLock({ $0.closing }) { throw closing }
    }
}

/// What view indexes read: the sequence log of this database.
struct DatabaseViewSource: ViewSource {
    /// Rows that are read in one snapshot, so that a long build holds none.
    private static let pageLength = 2000

    let core: DatabaseCore

    func lastSequence() throws -> Int { core.signal.sequence }

    func readChanges(
        after sequence: Int, _ body: (_ sequence: Int, _ id: String, _ document: [UInt8]?) throws -> Bool
    ) throws {
        var after = sequence
        while true {
            let rows = try core.readBlocking { try $0.viewRows(after: after, limit: Self.pageLength) }
            for row in rows {
                guard try body(row.sequence, row.id, row.document) else { return }
                after = row.sequence
            }
            if rows.count < Self.pageLength { return }
        }
    }
}

extension DocumentRows {
    /// Changes and purges in the order of their sequences, with the text that map functions see.
    func viewRows(after sequence: Int, limit: Int) throws -> [(sequence: Int, id: String, document: [UInt8]?)] {
        var result: [(sequence: Int, id: String, document: [UInt8]?)] = []
        let row = try SQLStatement(
            database, "SELECT \(Self.columnsWithBody) FROM documents WHERE sequence > ? ORDER BY sequence LIMIT ?"
        ).bind(1, sequence).bind(2, limit)
        defer { row.reset() }
        while try row.step() {
            let document = Self.document(row, withBody: true)
            var text: [UInt8]?
            if !document.isDeleted {
                var writer = JSONWriter()
                writer.reserve(document.body.count + document.id.utf8.count + 80)
                document.write(to: &writer, details: [.conflicts])
                text = writer.bytes
            }
            result.append((document.sequence, document.id, text))
        }
        let purges = try SQLStatement(
            database, "SELECT sequence, id FROM purges WHERE sequence > ? ORDER BY sequence LIMIT ?"
        ).bind(1, sequence).bind(2, limit)
        defer { purges.reset() }
        var hasPurges = false
        while try purges.step() {
            hasPurges = true
            result.append((purges.integer(0), purges.text(1), nil))
        }
        if hasPurges {
            result.sort { $0.sequence < $1.sequence }
            // Beyond the first `limit` one of the two lists can have gaps.
            if result.count > limit { result.removeLast(result.count - limit) }
        }
        return result
    }
}
