import CSpawn
import Glibc
import Synchronization

/// Log files of tokens that are over, for tokens that come.
///
/// Making and removing a file costs a file system many times what renaming one does. Taken is only what nobody else has
/// open or linked any more: what a command left behind in the background never writes into the log of another token.
final class LogStock: Sendable {
    private struct State {
        var logs: [CapturedLog] = []
        var isClosed = false
    }
    // Protects the files that wait.
    private let state = Mutex(State())
    private static let capacity = 64
    /// The space of longer ones is given back by removing them.
    private static let longest = 1 << 20

    /// A log in that place: one that is used again, or a new one.
    func log(at path: String, limit: Int) throws -> CapturedLog {
        while let old = state.withLock({ $0.logs.popLast() }) {
            if rename(old.path, path) == 0 {
                return CapturedLog(path: path, limit: max(2, limit), descriptor: old.descriptor)
            }
            old.close()
            unlink(old.path)
        }
        return try CapturedLog(path: path, limit: limit)
    }

    /// Takes the file in that place, or removes it.
    func retire(_ path: String) {
        if state.withLock({ !$0.isClosed && $0.logs.count < Self.capacity }), let log = Self.spare(path) {
            let isTaken = state.withLock { state in
                guard !state.isClosed else { return false }
                state.logs.append(log)
                return true
            }
            if isTaken { return }
            log.close()
        }
        unlink(path)
    }

    /// Removes all that wait, and takes no more.
    func close() {
        let logs = state.withLock { state in
            state.isClosed = true
            defer { state.logs = [] }
            return state.logs
        }
        for log in logs {
            log.close()
            unlink(log.path)
        }
    }

    /// The file, empty, when it is ours alone.
    private static func spare(_ path: String) -> CapturedLog? {
        let descriptor = open(path, O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_nlink == 1,
            status.st_mode & 0o600 == 0o600, status.st_uid == geteuid(), status.st_size <= longest,
            tokenpool_is_unshared(descriptor) == 1, status.st_size == 0 || ftruncate(descriptor, 0) == 0
        else {
            Glibc.close(descriptor)
            return nil
        }
        return CapturedLog(path: path, limit: 2, descriptor: descriptor)
    }
}
