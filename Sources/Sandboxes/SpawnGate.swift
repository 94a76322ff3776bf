import Glibc

/// Keeps the start of processes apart from the writing of programs.
///
/// Linux refuses to run a file that anybody has open for writing (`ETXTBSY`). A process that is just being started holds
/// copies of all our descriptors until its own program begins, so while one token's process starts, the program that
/// another token's sandbox has just finished writing would be "busy" for a moment more. So nothing is started while a
/// program is open for writing, and no program is opened for writing while something starts.
package enum SpawnGate {
    private static let lock = Lock()

    /// Starts a process; `body` must not return before its program has begun, as `posix_spawn` does not.
    package static func starting<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result
    {
        pthread_rwlock_wrlock(lock.pointer)
        defer { pthread_rwlock_unlock(lock.pointer) }
        return try body()
    }

    /// Writes a file that will be run: opens it, fills it and closes it. Any number may do so at once.
    static func writingProgram<Result>(_ body: () throws -> Result) rethrows -> Result {
        pthread_rwlock_rdlock(lock.pointer)
        defer { pthread_rwlock_unlock(lock.pointer) }
        return try body()
    }

    /// Unchecked, since the compiler does not know that a lock of pthreads may be used from any thread; the pointer itself
    /// never changes and what it points to is touched by pthreads alone.
    private final class Lock: @unchecked Sendable {
        let pointer = UnsafeMutablePointer<pthread_rwlock_t>.allocate(capacity: 1)

        init() {
            var attributes = pthread_rwlockattr_t()
            pthread_rwlockattr_init(&attributes)
            // Writers first: otherwise a stream of copies could hold up a start without end. 2 is
            // PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP of glibc.
            pthread_rwlockattr_setkind_np(&attributes, 2)
            pthread_rwlock_init(pointer, &attributes)
            pthread_rwlockattr_destroy(&attributes)
        }
    }
}
