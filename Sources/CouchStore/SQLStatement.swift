import GRDB
import GRDBSQLite

/// A prepared statement of one connection, driven without a detour through values and dictionaries.
///
/// Statements come from the connection's cache, so only one use of the same text can be under way at a time. Lives no
/// longer than the access to the connection that made it.
struct SQLStatement {
    private let handle: OpaquePointer

    /// The statement of that text, reset and ready to be bound.
    init(_ database: Database, _ text: String) throws {
        handle = try database.cachedStatement(sql: text).sqliteStatement
        reset()
    }

    // Copies are made by SQLite: values outlive the call that binds them.
    private static var copied: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }

    /// Binds a value without a copy for as long as `body` runs, which must run the statement to its end.
    func lend<Result>(_ index: Int32, _ value: [UInt8], _ body: () throws -> Result) rethrows -> Result {
        try value.withUnsafeBytes { bytes in
            if let address = bytes.baseAddress, !bytes.isEmpty {
                sqlite3_bind_blob64(handle, index, address, UInt64(bytes.count), nil)
            } else {
                sqlite3_bind_zeroblob(handle, index, 0)
            }
            return try body()
        }
    }

    /// Binds a text likewise.
    func lend<Result>(_ index: Int32, _ value: String, _ body: () throws -> Result) rethrows -> Result {
        var value = value
        return try value.withUTF8 { text in
            guard let address = text.baseAddress, !text.isEmpty else {
                bind(index, "")
                return try body()
            }
            return try address.withMemoryRebound(to: CChar.self, capacity: text.count) { address in
                sqlite3_bind_text64(handle, index, address, UInt64(text.count), nil, UInt8(SQLITE_UTF8))
                return try body()
            }
        }
    }

    @discardableResult
    func bind(_ index: Int32, _ value: Int) -> SQLStatement {
        sqlite3_bind_int64(handle, index, Int64(value))
        return self
    }

    @discardableResult
    func bind(_ index: Int32, _ value: String) -> SQLStatement {
        var value = value
        value.withUTF8 { text in
            // An empty string has no address, and SQLite takes no address for NULL.
            let address = text.baseAddress.map { UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self) }
            if let address {
                sqlite3_bind_text64(handle, index, address, UInt64(text.count), Self.copied, UInt8(SQLITE_UTF8))
            } else {
                sqlite3_bind_text(handle, index, "", 0, Self.copied)
            }
        }
        return self
    }

    @discardableResult
    func bind(_ index: Int32, _ value: [UInt8]?) -> SQLStatement {
        guard let value else {
            sqlite3_bind_null(handle, index)
            return self
        }
        _ = value.withUnsafeBytes { bytes in
            if bytes.isEmpty {
                sqlite3_bind_zeroblob(handle, index, 0)
            } else {
                sqlite3_bind_blob64(handle, index, bytes.baseAddress, UInt64(bytes.count), Self.copied)
            }
        }
        return self
    }

    /// Goes to the next row.
    ///
    /// - Returns: Whether there is one.
    func step() throws -> Bool {
        let code = sqlite3_step(handle)
        if code == SQLITE_ROW { return true }
        if code == SQLITE_DONE { return false }
        let connection = sqlite3_db_handle(handle)
        let message = String(cString: sqlite3_errmsg(connection))
        let extended = sqlite3_extended_errcode(connection)
        reset()
        throw DatabaseError(resultCode: ResultCode(rawValue: extended), message: message)
    }

    /// Runs a statement that has no rows.
    func run() throws {
        _ = try step()
        reset()
    }

    /// Rows that the connection's last statement changed.
    var changeCount: Int { Int(sqlite3_changes(sqlite3_db_handle(handle))) }

    /// Ends the use: locks are let go and the statement can be bound anew.
    func reset() { sqlite3_reset(handle) }

    func integer(_ column: Int32) -> Int { Int(sqlite3_column_int64(handle, column)) }

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }

    func withBytes<Result>(_ column: Int32, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let address = sqlite3_column_blob(handle, column)
        let count = Int(sqlite3_column_bytes(handle, column))
        return body(UnsafeRawBufferPointer(start: address, count: address == nil ? 0 : count))
    }

    func bytes(_ column: Int32) -> [UInt8] { withBytes(column) { Array($0) } }

    func bytesIfPresent(_ column: Int32) -> [UInt8]? { isNull(column) ? nil : bytes(column) }

    func text(_ column: Int32) -> String { withBytes(column) { String(decoding: $0, as: UTF8.self) } }
}

extension StoreError {
    /// What a failure of SQLite or of the file system means for the caller. `attempt` says what was done, on what.
    static func wrapping(_ error: any Error, attempt: String) -> any Error {
        if error is StoreError || error is CancellationError { return error }
        guard let error = error as? DatabaseError else { return StoreError(.failed, "\(attempt): \(error)") }
        let message = error.message ?? "no further word from SQLite"
        switch error.resultCode {
        case .SQLITE_FULL:
            return StoreError(.full, "\(attempt): the disk is full: make room, then write again")
        case .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_CANTOPEN:
            return StoreError(.readOnly, "\(attempt): \(message): make the data folder writable")
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            return StoreError(.failed, "\(attempt): the database file is damaged (\(message)): restore it from a copy")
        case .SQLITE_INTERRUPT, .SQLITE_ABORT:
            return StoreError(.closed, "\(attempt): Database does not exist.")
        case .SQLITE_MISUSE:
            return StoreError(.closed, "\(attempt): Database does not exist.")
        case .SQLITE_IOERR where [.SQLITE_IOERR_WRITE, .SQLITE_IOERR_SHMSIZE].contains(error.extendedResultCode):
            // SQLite knows a full disk by ENOSPC only; a quota or a limit on the size of files has other numbers.
            return StoreError(
                .full, "\(attempt): the disk takes no more (\(message)): look for a quota or limit, or make room")
        default:
            return StoreError(.failed, "\(attempt): \(message) (SQLite code \(error.extendedResultCode.rawValue))")
        }
    }
}
