/// A storage system's interface for bringing files from tape to disk.
///
/// A request is for some files at once and keeps them on disk for a while; files can be let go one by one.
package protocol TapeService: Sendable {
    /// Asks for files on disk.
    ///
    /// - Parameter life: So long they are wanted there.
    /// - Returns: The storage's name of the request.
    func stage(_ paths: [String], for life: Duration) async throws -> String

    /// What became of files of a request. One that is missing is still waited for.
    ///
    /// - Throws: ``GridError/Code/notFound`` when the storage knows nothing of the request any more.
    func progress(of request: String, _ paths: [String]) async throws -> [String: TapeFileState]

    /// Lets some files of a request go.
    func release(_ paths: [String], of request: String) async throws

    /// Lets all files of a request go, and the request itself.
    ///
    /// - Parameter paths: Those that are left of it.
    func end(_ request: String, _ paths: [String]) async throws
}

/// Where a file is between tape and disk.
package enum TapeFileState: Hashable, Sendable {
    /// It can be read.
    case online
    /// It will not come; why.
    case failed(String)
}
