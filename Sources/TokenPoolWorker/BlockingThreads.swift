import Glibc
import Synchronization

/// Threads for work that blocks: starting and awaiting processes, reading and writing files.
///
/// As many as there are jobs at once, kept for the next ones; they end with the pool.
final class BlockingThreads: Sendable {
    typealias Job = @Sendable () -> Void

    /// What the threads share. `@unchecked Sendable`: `mutex` is held wherever `jobs`, `idle` and `isClosed` are touched,
    /// and both C objects stay at their addresses until the last thread lets go of this object.
    private final class Queue: @unchecked Sendable {
        let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        let wakeUp = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
        var jobs: [Job] = []
        var next = 0
        var idle = 0
        var isClosed = false

        init() {
            pthread_mutex_init(mutex, nil)
            pthread_cond_init(wakeUp, nil)
        }

        deinit {
            pthread_cond_destroy(wakeUp)
            pthread_mutex_destroy(mutex)
            wakeUp.deallocate()
            mutex.deallocate()
        }

        /// Whether a thread must be made for the job.
        func add(_ job: @escaping Job) -> Bool {
            pthread_mutex_lock(mutex)
            defer { pthread_mutex_unlock(mutex) }
            jobs.append(job)
            pthread_cond_signal(wakeUp)
            return jobs.count - next > idle
        }

        func take() -> Job? {
            pthread_mutex_lock(mutex)
            defer { pthread_mutex_unlock(mutex) }
            idle += 1
            while next == jobs.count && !isClosed { pthread_cond_wait(wakeUp, mutex) }
            idle -= 1
            guard next < jobs.count else { return nil }
            defer {
                next += 1
                if next == jobs.count {
                    jobs.removeAll(keepingCapacity: true)
                    next = 0
                }
            }
            return jobs[next]
        }

        func close() {
            pthread_mutex_lock(mutex)
            isClosed = true
            pthread_cond_broadcast(wakeUp)
            pthread_mutex_unlock(mutex)
        }
    }

    private let queue = Queue()

    deinit { queue.close() }

    /// Runs the work on one of the threads.
    func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Value, any Error>) in
            begin { continuation.resume(with: Result(catching: work)) }
        }
    }

    /// Runs work that can not fail on one of the threads.
    func perform<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            begin { continuation.resume(returning: work()) }
        }
    }

    /// Has the work done on one of the threads, and does not wait for it.
    func begin(_ work: @escaping Job) {
        if queue.add(work) { startThread() }
    }

    private func startThread() {
        let start = Unmanaged.passRetained(queue)
        var thread = pthread_t()
        let number = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let queue = Unmanaged<Queue>.fromOpaque(argument).takeRetainedValue()
                while let job = queue.take() { job() }
                return nil
            }, start.toOpaque())
        if number == 0 {
            pthread_detach(thread)
        } else {
            // Without another thread the job waits for one of those that exist.
            start.release()
        }
    }
}
