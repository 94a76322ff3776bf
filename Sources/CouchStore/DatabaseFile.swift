import CSQLite
import GRDB

/// The tables of a database and how its file is opened.
enum DatabaseFile {
    /// The version that this program writes, in `PRAGMA user_version`.
    static let version = 2

    // documents: one row a document, at the sequence of its latest change, with its winner. So the table is the sequence
    // log too: an edit moves the row to the end. The index finds a document by id and lists ids in byte order, tombstones
    // apart, so that a list never walks over them.
    // revisions: bodies of other leaves, and of revisions that were replaced, until a compaction.
    // contents: bytes of attachments by digest; NULL bytes stand in a file of the attachments folder.
    private static let schema = """
        CREATE TABLE documents (
            sequence INTEGER PRIMARY KEY, number INTEGER NOT NULL, id TEXT NOT NULL, deleted INTEGER NOT NULL,
            leaves INTEGER NOT NULL, revision BLOB NOT NULL, tree BLOB, attachments BLOB, body BLOB NOT NULL);
        CREATE TABLE revisions (
            number INTEGER NOT NULL, revision BLOB NOT NULL, leaf INTEGER NOT NULL, attachments BLOB,
            body BLOB NOT NULL, PRIMARY KEY (number, revision)) WITHOUT ROWID;
        CREATE TABLE contents (
            content INTEGER PRIMARY KEY, md5 BLOB NOT NULL, length INTEGER NOT NULL, touched INTEGER NOT NULL, bytes BLOB);
        CREATE UNIQUE INDEX contents_by_digest ON contents (md5, length);
        CREATE TABLE local_documents (
            id TEXT PRIMARY KEY, revision INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE purges (sequence INTEGER PRIMARY KEY, id TEXT NOT NULL);
        CREATE TABLE state (
            one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER NOT NULL, documents INTEGER NOT NULL,
            deleted INTEGER NOT NULL, purge_sequence INTEGER NOT NULL, body_bytes INTEGER NOT NULL,
            attachment_bytes INTEGER NOT NULL, superseded_bytes INTEGER NOT NULL);
        INSERT INTO state VALUES (1, 0, 0, 0, 0, 0, 0, 0);
        CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        """

    /// What version 2 added: see ``SequenceCounts`` and ``IDCounts``.
    private static let counts = """
        CREATE UNIQUE INDEX documents_by_id ON documents (deleted, id);
        CREATE TABLE sequence_counts (
            level INTEGER NOT NULL, stretch INTEGER NOT NULL, documents INTEGER NOT NULL,
            PRIMARY KEY (level, stretch)) WITHOUT ROWID;
        CREATE TABLE id_counts (
            level INTEGER NOT NULL, first BLOB NOT NULL, documents INTEGER NOT NULL, parts INTEGER NOT NULL,
            PRIMARY KEY (level, first)) WITHOUT ROWID;
        """

    /// How long a connection waits for another one's lock.
    static let busyMilliseconds: Int32 = 10_000

    /// Without SQLite's count of the memory that it uses, which nobody asks for: every allocation would wait for its lock.
    private static let withoutMemoryCount: Void = tp_sqlite_without_memory_count()

    private static func configuration(label: String) -> Configuration {
        _ = withoutMemoryCount
        var configuration = Configuration()
        configuration.label = label
        configuration.foreignKeysEnabled = false
        configuration.busyMode = .timeout(Double(busyMilliseconds) / 1000)
        configuration.maximumReaderCount = 4
        configuration.prepareDatabase { database in
            guard !database.configuration.readonly else { return }
            // Counts only before the first table is made: lets a compaction give pages back.
            try database.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL")
            // An answer means on disk, so every commit waits for the log to be synchronised.
            try database.execute(sql: "PRAGMA synchronous = FULL")
            // 64 MiB of log between checkpoints: read in a moment after a crash, and large enough that a page of the index of
            // ids, which random ids change everywhere, is mostly moved once for several commits.
            try database.execute(sql: "PRAGMA wal_autocheckpoint = 16000")
            // A log that grew while a long reader kept it from being moved is short again afterwards.
            try database.execute(sql: "PRAGMA journal_size_limit = 67108864")
            try database.execute(sql: "PRAGMA cache_size = -8192")
            try database.execute(sql: "PRAGMA temp_store = MEMORY")
        }
        return configuration
    }

    /// Opens the file once more, for reading. It must be there.
    static func openReader(path: String, label: String) throws -> DatabaseQueue {
        var configuration = configuration(label: label)
        configuration.readonly = true
        return try DatabaseQueue(path: path, configuration: configuration)
    }

    /// Opens the file; makes its tables when it is new, and adds to them when it is of an earlier version.
    static func open(path: String, label: String, settings: [(String, String)] = []) throws -> DatabasePool {
        let pool = try DatabasePool(path: path, configuration: configuration(label: label))
        try pool.write { database in
            let found = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
            if found > version {
                throw StoreError(.failed, "\(path) was written by a later version of tokenpool: use that version")
            }
            if found == version { return }
            if found == 0 {
                try database.execute(sql: schema)
                for (name, value) in settings {
                    try database.execute(sql: "INSERT INTO settings VALUES (?, ?)", arguments: [name, value])
                }
            } else {
                try database.execute(sql: "DROP INDEX documents_by_id")
            }
            try database.execute(sql: counts)
            try SequenceCounts.build(in: database)
            try IDCounts.build(in: database)
            try database.execute(sql: "PRAGMA user_version = \(version)")
        }
        return pool
    }
}
