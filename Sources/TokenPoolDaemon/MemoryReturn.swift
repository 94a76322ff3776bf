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
/// after an index of a million documents was built, that is more than the server has in use. Fewer arenas would keep less, at the
/// cost of a fifth of all writes. Elsewhere this does nothing.
struct MemoryReturn: Service {
    private static let pause = Duration.seconds(30)
    /// Processor time without which nothing can have been freed that is worth looking for, in clock ticks.
    private static let worth = CLOCKS_PER_SEC / 10

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
