import Logging

/// The databases in one folder.
///
/// `store.json` holds the store's id; `databases/` a file each; `attachments/` large contents; `views/` the indexes. One
/// process at a time: the folder is locked while a store is open, also against a second store of the same process.
package final class Store: Sendable {
    /// 32 hex digits that no other store has.
    package let uuid: String

    init() { fatalError("not there yet") }

    /// Opens the store in that folder, and makes it when there is none.
    ///
    /// - Throws: ``StoreError`` in one line: another process has it, it can not be written, it is of a later version.
    package static func open(folder: String, logger: Logger) async throws -> Store { fatalError("not there yet") }

    /// The databases' names, sorted bytewise.
    package func databaseNames() -> [String] { fatalError("not there yet") }

    /// The database of that name; `nil` when there is none. Opened at the first call, then kept.
    package func database(_ name: String) async throws -> StoredDatabase? { fatalError("not there yet") }

    /// Makes a database.
    ///
    /// - Throws: ``StoreError/Code/exists``, or ``StoreError/Code/illegalDatabaseName`` with CouchDB's text.
    package func createDatabase(_ name: String) async throws -> StoredDatabase { fatalError("not there yet") }

    /// Removes a database with its views and attachments. Readers and waiters of it end with ``StoreError/Code/closed``.
    package func deleteDatabase(_ name: String) async throws { fatalError("not there yet") }

    /// Waits until a database was made, deleted or written to after the given count of such events (`_db_updates`).
    package func waitForUpdate(after count: Int) async throws -> Int { fatalError("not there yet") }

    /// Ends all work, closes the files and lets go of the folder.
    package func close() async { fatalError("not there yet") }
}
