import CouchDocument
import Dispatch
import GRDB
import Logging
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The databases in one folder.
///
/// `store.json` holds the store's id; `databases/` a file each; `attachments/` large contents; `views/` the indexes. One
/// process at a time: the folder is locked while a store is open, also against a second store of the same process.
package final class Store: Sendable {
    private struct State {
        /// All names, opened or not.
        var names: Set<String> = []
        var opened: [String: StoredDatabase] = [:]
        /// Names whose files are being removed: nothing can be opened or made there yet.
        var deleting: Set<String> = []
        var isClosed = false
    }

    /// Ends the names of files that are still being made.
    private static let unfinished = ".new"

    /// 32 hex digits that no other store has.
    package let uuid: String
    /// The folder.
    package let folder: String

    /// The lock on the folder, until the store closes.
    private let lock: Mutex<FolderLock?>
    private let logger: Logger
    /// Protects which databases there are.
    private let state: Mutex<State>
    /// Opening, making and removing files, one at a time.
    private let thread = DispatchQueue(label: "store.folder")

    private init(folder: String, logger: Logger) throws {
        try makeFolder(folder + "/databases")
        lock = Mutex(try FolderLock(folder: folder))
        uuid = try StoreFile(folder: folder).uuid
        self.folder = folder
        self.logger = logger
        var names: Set<String> = []
        for file in try namesInFolder(folder + "/databases") {
            if file.contains(Self.unfinished) { unlink("\(folder)/databases/\(file)") }
            guard file.hasSuffix(".db") else { continue }
            guard let name = DatabaseName.name(fileName: file.dropLast(3)) else { continue }
            names.insert(name)
        }
        state = Mutex(State(names: names))
    }

    /// Opens the store in that folder, and makes it when there is none.
    ///
    /// - Throws: ``StoreError`` in one line: another process has it, it can not be written, it is of a later version.
    package static func open(folder: String, logger: Logger) async throws -> Store {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(with: Result { try Store(folder: folder, logger: logger) })
            }
        }
    }

    /// The databases' names, sorted bytewise.
    package func databaseNames() -> [String] {
        state.withLock { Array($0.names) }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// What all databases are busy with, by their names.
    package func tasks() -> [(database: String, task: DatabaseTasks.Entry)] {
        // What was never opened is not busy.
        state.withLock { $0.opened }.sorted { $0.key < $1.key }.flatMap { name, database in
            database.tasks.all.map { (name, $0) }
        }
    }

    /// The database of that name; `nil` when there is none. Opened at the first call, then kept.
    package func database(_ name: String) async throws -> StoredDatabase? {
        let (opened, exists) = state.withLock { ($0.opened[name], $0.names.contains(name)) }
        if let opened { return opened }
        guard exists else { return nil }
        return try await perform {
            // It can have been deleted while this waited for its turn.
            guard self.state.withLock({ $0.names.contains(name) }) else { return nil }
            return try self.open(name)
        }
    }

    /// Makes a database, with CouchDB 3's security object: for admins only. In a partitioned one every document's id begins
    /// with the name of its ``Partition`` and a colon.
    ///
    /// - Throws: ``StoreError/Code/exists``, or ``StoreError/Code/illegalDatabaseName`` with CouchDB's text.
    package func createDatabase(
        _ name: String, security: JSONObject = DatabaseSettings.adminOnly, isPartitioned: Bool = false,
        shards: Int = 1
    ) async throws -> StoredDatabase {
        try DatabaseName.check(name)
        return try await perform {
            guard !self.state.withLock({ $0.names.contains(name) || $0.deleting.contains(name) }) else {
                throw StoreError(.exists, "The database could not be created, the file already exists.")
            }
            try self.removeRemains(of: name)
            try self.makeFile(
                name,
                settings: [
                    ("uuid", StoreFile.newIdentifier()), ("created", String(time(nil))),
                    ("security", security.description), ("partitioned", String(isPartitioned)),
                    ("shards", String(shards)),
                ])
            return try self.open(name)
        }
    }

    /// Removes a database with its views and attachments. Readers and waiters of it end with ``StoreError/Code/closed``.
    package func deleteDatabase(_ name: String) async throws {
        let missing = StoreError(.notFound, "Database does not exist.")
        guard let database = try await database(name) else { throw missing }
        // Whoever asks from now on gets nothing; whoever asks a second time to delete it, too.
        let isOurs = state.withLock { state in
            guard state.opened[name] === database else { return false }
            state.opened[name] = nil
            state.names.remove(name)
            state.deleting.insert(name)
            return true
        }
        guard isOurs else { throw missing }
        defer { state.withLock { _ = $0.deleting.remove(name) } }
        do {
            try await database.close(StoreError(.closed, "Database does not exist."))
            try await perform {
                let path = self.path(name)
                // The log is gone since the file was closed; without its file the database does not exist.
                if unlink(path) != 0 { throw StoreError.system("remove", path) }
                try synchronizeFolder(self.folder + "/databases")
            }
        } catch {
            // Still there: it can be opened again and deleted another time.
            state.withLock { _ = $0.names.insert(name) }
            throw error
        }
        try await perform { try self.removeRemains(of: name) }
    }

    /// Ends all work, closes the files and lets go of the folder.
    package func close() async {
        let opened = state.withLock { state in
            state.isClosed = true
            defer { state.opened = [:] }
            return state.opened
        }
        for (name, database) in opened {
            do {
                try await database.close(StoreError(.closed, "The store is closed."))
            } catch {
                logger.warning(
                    "could not close a database cleanly; it recovers when it is opened",
                    metadata: ["database": "\(name)", "error": "\(error)"])
            }
        }
        lock.withLock { $0 = nil }
    }

    // MARK: Files

    private func path(_ name: String) -> String { DataFolderFiles(folder: folder).database(name) }

    /// Removes what can be left of a database of that name whose file is gone.
    private func removeRemains(of name: String) throws {
        for suffix in ["-wal", "-shm"] where unlink(path(name) + suffix) != 0 && errno != ENOENT {
            throw StoreError.system("remove", path(name) + suffix)
        }
        try removeFolder("\(folder)/attachments/\(DatabaseName.fileName(name))")
        try removeFolder("\(folder)/views/\(DatabaseName.fileName(name))")
    }

    private func perform<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            thread.async { continuation.resume(with: Result { try body() }) }
        }
    }

    /// Makes the file under another name first: a full disk or a crash leaves no half database.
    private func makeFile(_ name: String, settings: [(String, String)]) throws {
        let path = path(name)
        let temporary = path + Self.unfinished
        do {
            let pool = try DatabaseFile.open(path: temporary, label: name, settings: settings)
            try pool.close()
            guard rename(temporary, path) == 0 else { throw StoreError.system("rename \(temporary) to", path) }
            try synchronizeFolder(folder + "/databases")
        } catch {
            for suffix in ["", "-wal", "-shm"] { unlink(temporary + suffix) }
            throw StoreError.wrapping(error, attempt: "make database \"\(name)\" in \(path)")
        }
    }

    private func open(_ name: String) throws -> StoredDatabase {
        if let opened = state.withLock({ $0.opened[name] }) { return opened }
        let file = DatabaseName.fileName(name)
        let database = try StoredDatabase(
            name: name, path: path(name), attachmentsFolder: "\(folder)/attachments/\(file)",
            viewsFolder: "\(folder)/views/\(file)", logger: logger)
        try database.core.attachmentStore.removeAbandonedUploads()
        try state.withLock { state in
            if state.isClosed { throw StoreError(.closed, "The store is closed.") }
            state.names.insert(name)
            state.opened[name] = database
        }
        return database
    }
}
