import Glibc

/// A lock on a file between processes, held until the last reference goes; also between holders within one process.
package final class FileLock: Sendable {
    private let file: OpenFile

    private init(_ file: OpenFile) { self.file = file }

    /// Takes the lock, or `nil` when somebody else has it.
    static func tryTaking(_ path: String, shared: Bool = false) throws -> FileLock? {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw systemError("open the lock", path) }
        let file = OpenFile(descriptor: descriptor, path: path)
        while flock(descriptor, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0 {
            if errno == EWOULDBLOCK { return nil }
            guard errno == EINTR else { throw systemError("lock", path) }
        }
        return FileLock(file)
    }

    /// Waits for the lock.
    static func take(_ path: String, shared: Bool = false) async throws -> FileLock {
        if let lock = try tryTaking(path, shared: shared) { return lock }
        return try await onOwnThread { flag in
            while true {
                try flag.check()
                if let lock = try tryTaking(path, shared: shared) { return lock }
                // A wait within flock could not be cancelled, and preparing a sandbox takes longer than this anyway.
                usleep(20_000)
            }
        }
    }
}
