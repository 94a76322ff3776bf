import CICU
import Dispatch
import Foundation
import GRDB
import Synchronization

/// The SQLite file of one index: row trees, cut into nodes, and how far the index has come.
///
/// Everything that one batch of documents changes is committed at once, with the sequence that it reaches. A commit is
/// not forced to disk: after a power failure the index continues from an earlier sequence.
final class ViewIndexFile: Sendable {
    /// A tree: its root node (0: empty), rows, and bytes of rows.
    struct Tree {
        var root = 0
        var count = 0
        var size = 0
    }

    /// What is known about all trees. Tree 0 is the back index: document id → where its rows are.
    struct Header {
        var sequence = 0
        var nextNode = 1
        var trees: [Tree]
    }

    // Raised when the layout changes; an index of another format is built anew.
    private static let format = 1

    let path: String
    private let pool: DatabasePool
    private let shortReads: ReadQueue
    /// Protects from closing under those who read.
    private let isClosed = Mutex(false)
    /// Who reads on a thread of the pool.
    private let reads = DispatchGroup()

    static let closed = StoreError.absent("the view index was closed: its database or design document is gone")

    /// Opens the file, and makes it anew when it is of another format or collation, or damaged.
    init(path: String, trees: Int) throws {
        self.path = path
        if let opened = try? Self.open(path, trees: trees) {
            pool = opened
        } else {
            Self.remove(path: path)
            guard let opened = try Self.open(path, trees: trees) else {
                throw StoreError.failure("internal_server_error", "the view index \(path) can not be made")
            }
            pool = opened
        }
        shortReads = try ReadQueue(path: path, label: "view index")
    }

    /// `nil`: the file is of another format.
    private static func open(_ path: String, trees: Int) throws -> DatabasePool? {
        var configuration = Configuration()
        configuration.maximumReaderCount = 4
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA synchronous = NORMAL")
        }
        let pool = try DatabasePool(path: path, configuration: configuration)
        let version = "\(format) \(Collator.root.version) \(trees)"
        let isUsable = try pool.write { database in
            try database.execute(
                sql: """
                    CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
                    CREATE TABLE IF NOT EXISTS header (number INTEGER PRIMARY KEY, sequence INTEGER NOT NULL,
                        next_node INTEGER NOT NULL);
                    CREATE TABLE IF NOT EXISTS tree (number INTEGER PRIMARY KEY, root INTEGER NOT NULL,
                        rows INTEGER NOT NULL, size INTEGER NOT NULL);
                    CREATE TABLE IF NOT EXISTS node (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
                    """)
            let found = try String.fetchOne(database, sql: "SELECT value FROM meta WHERE name = 'version'")
            if let found { return found == version }
            try database.execute(sql: "INSERT INTO meta VALUES ('version', ?)", arguments: [version])
            try database.execute(sql: "INSERT INTO header VALUES (0, 0, 1)")
            for number in 0..<trees {
                try database.execute(sql: "INSERT INTO tree VALUES (?, 0, 0, 0)", arguments: [number])
            }
            return true
        }
        if isUsable { return pool }
        try pool.close()
        return nil
    }

    /// Removes the file and what SQLite keeps beside it.
    static func remove(path: String) {
        for suffix in ["", "-wal", "-shm"] { unlink(path + suffix) }
    }

    /// Refuses new readers, waits for those there are, and closes the file. Blocks.
    func close() throws {
        isClosed.withLock { $0 = true }
        // SQLite's functions must not be called on a closed connection, and GRDB does.
        reads.wait()
        try shortReads.close()
        try pool.close()
    }

    private func beginRead() throws {
        try isClosed.withLock { isClosed in
            if isClosed { throw Self.closed }
            // Entered under the lock: whoever closes waits for it.
            reads.enter()
        }
    }

    /// Bytes of the file with its log.
    var fileSize: Int {
        ["", "-wal"].reduce(0) { total, suffix in
            let attributes = try? FileManager.default.attributesOfItem(atPath: path + suffix)
            return total + ((attributes?[.size] as? Int) ?? 0)
        }
    }

    /// Gives the room of nodes that are gone back to the file system, blocking. Readers go on meanwhile.
    func compact() throws {
        try pool.writeWithoutTransaction { database in
            try database.execute(sql: "VACUUM")
            // A reader under way only puts it off to a later checkpoint.
            do { _ = try database.checkpoint(.truncate) } catch let error as DatabaseError
                where error.resultCode == .SQLITE_BUSY
            {}
        }
    }

    /// Reads within one snapshot, on a thread of the pool.
    func read<Result: Sendable>(_ body: @escaping @Sendable (Snapshot) throws -> Result) async throws -> Result {
        try beginRead()
        defer { reads.leave() }
        return try await pool.read { database in try body(Snapshot(database)) }
    }

    /// Reads a little within one snapshot, without a change of thread where that can be.
    func readShortly<Result: Sendable>(_ body: @escaping @Sendable (Snapshot) throws -> Result) async throws -> Result {
        try await shortReads.perform { database in try body(Snapshot(database)) }
    }

    /// The file as it is now, for as long as the snapshot is held.
    func makeSnapshot() async throws -> DatabaseSnapshot {
        try beginRead()
        defer { reads.leave() }
        return try await withCheckedThrowingContinuation { continuation in
            Self.openingQueue.async { [self] in continuation.resume(with: Result { try pool.makeSnapshot() }) }
        }
    }

    private static let openingQueue = DispatchQueue(label: "snapshots of view indexes")

    /// Reads within one snapshot, blocking.
    func readNow<Result>(_ body: (Snapshot) throws -> Result) throws -> Result {
        try pool.read { database in try body(Snapshot(database)) }
    }

    /// Writes within one transaction, blocking.
    func write<Result>(_ body: (Snapshot) throws -> Result) throws -> Result {
        try pool.write { database in try body(Snapshot(database)) }
    }

    /// The file as one transaction sees it.
    struct Snapshot {
        private let database: Database

        init(_ database: Database) { self.database = database }

        func header() throws -> Header {
            let row = try SQLStatement(database, "SELECT sequence, next_node FROM header")
            defer { row.reset() }
            var header = Header(trees: [])
            if try row.step() { header = Header(sequence: row.integer(0), nextNode: row.integer(1), trees: []) }
            let tree = try SQLStatement(database, "SELECT root, rows, size FROM tree ORDER BY number")
            defer { tree.reset() }
            while try tree.step() {
                header.trees.append(Tree(root: tree.integer(0), count: tree.integer(1), size: tree.integer(2)))
            }
            return header
        }

        func save(_ header: Header) throws {
            try SQLStatement(database, "UPDATE header SET sequence = ?, next_node = ?")
                .bind(1, header.sequence).bind(2, header.nextNode).run()
            for (number, tree) in header.trees.enumerated() {
                try SQLStatement(
                    database,
                    """
                    UPDATE tree SET root = ?1, rows = ?2, size = ?3
                    WHERE number = ?4 AND (root, rows, size) != (?1, ?2, ?3)
                    """
                ).bind(1, tree.root).bind(2, tree.count).bind(3, tree.size).bind(4, number).run()
            }
        }

        func node(_ id: Int) throws -> [UInt8] {
            let row = try SQLStatement(database, "SELECT body FROM node WHERE id = ?").bind(1, id)
            defer { row.reset() }
            guard try row.step() else {
                throw StoreError.failure(
                    "internal_server_error", "a view index lacks node \(id); clean up and ask again")
            }
            return row.bytes(0)
        }

        func save(node id: Int, _ body: [UInt8]) throws {
            try SQLStatement(database, "INSERT OR REPLACE INTO node VALUES (?, ?)").bind(1, id).bind(2, body).run()
        }

        /// Removes what a build left behind that did not come to its end.
        func deleteNodes(from id: Int) throws {
            try SQLStatement(database, "DELETE FROM node WHERE id >= ?").bind(1, id).run()
        }

        func delete(node id: Int) throws {
            try SQLStatement(database, "DELETE FROM node WHERE id = ?").bind(1, id).run()
        }
    }
}
