import Dispatch

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Says which threads may wait for a disk for a moment: those that were declared so, never the common pool's.
package enum ReadingThread {
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        guard pthread_key_create(&key, nil) == 0 else { fatalError("no room for a thread's mark") }
        return key
    }()

    /// From now on short reads that are asked for on this thread are made on it, or are not any more.
    package static func declare(_ mayRead: Bool = true) {
        pthread_setspecific(key, UnsafeRawPointer(bitPattern: mayRead ? 1 : 0))
    }

    /// How often this thread has waited, for a disk or for a lock; only whether it changes says something.
    static var waits: Int {
        #if os(Linux)
            var usage = rusage()
            // RUSAGE_THREAD, which Glibc shows only to those who ask for more than POSIX.
            getrusage(1, &usage)
            return Int(usage.ru_nvcsw)
        #else
            // Not told here: every slow read may have waited.
            return Int(DispatchTime.now().uptimeNanoseconds)
        #endif
    }

    static var isCurrent: Bool { pthread_getspecific(key) != nil }
}
