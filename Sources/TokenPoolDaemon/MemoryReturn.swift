import Dispatch
import ServiceLifecycle

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Gives memory that is not in use back to the system.
///
/// glibc keeps what was freed in up to eight arenas a core, and keeps it for ever where something small lies behind it:
/// after an index of a million documents was built, that is more than the server has in use. Elsewhere this does nothing.
struct MemoryReturn: Service {
    private static let pause = Duration.seconds(30)
    /// Processor time without which nothing can have been freed that is worth looking for, in clock ticks.
    private static let worth = CLOCKS_PER_SEC / 10

    /// To be called before there are other threads.
    static func prepare() {
        // From malloc.h: M_ARENA_MAX and M_MMAP_THRESHOLD. Pieces from 256 KiB on are mapped and unmapped one by one; a
        // threshold that is set does not grow with what is freed.
        let arenaMaximum: Int32 = -8
        let mapThreshold: Int32 = -3
        typealias Option = @convention(c) (Int32, Int32) -> Int32
        guard let function = dlsym(nil, "mallopt") else { return }
        let set = unsafeBitCast(function, to: Option.self)
        _ = set(arenaMaximum, Int32(clamping: max(2, sysconf(Int32(_SC_NPROCESSORS_ONLN)))))
        _ = set(mapThreshold, 256 << 10)
    }

    func run() async throws {
        guard let function = dlsym(nil, "malloc_trim") else {
            try await gracefulShutdown()
            return
        }
        typealias Trim = @convention(c) (Int) -> Int32
        let trim = unsafeBitCast(function, to: Trim.self)
        await cancelWhenGracefulShutdown {
            var used = clock()
            while true {
                do { try await Task.sleep(for: Self.pause) } catch { return }
                let now = clock()
                guard now - used > Self.worth else { continue }
                // It takes the arenas one by one, some milliseconds in all.
                await withCheckedContinuation { continuation in
                    DispatchQueue.global(qos: .utility).async {
                        _ = trim(0)
                        continuation.resume()
                    }
                }
                used = clock()
            }
        }
    }
}
