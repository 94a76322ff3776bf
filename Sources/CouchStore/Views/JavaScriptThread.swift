import Dispatch
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A thread that owns a value which must never be seen by another: a JavaScript engine and what belongs to it.
///
/// The thread starts with the first job and makes the value; jobs run one after the other in the order they came. After a
/// while without jobs the value goes and the thread ends, so that idle indexes cost no memory; the next job starts anew.
///
/// `@unchecked Sendable`: `jobs`, `isRunning` and `isStopping` are only touched while `lock` is held; `State` lives in a local variable
/// of the thread's own function.
final class JavaScriptThread<State>: @unchecked Sendable {
    typealias Job = @Sendable (State) -> Void

    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let arrival = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let idleSeconds: Int
    private let make: @Sendable () -> State
    private var jobs: [Job] = []
    private var isRunning = false
    private var isStopping = false

    /// A thread for the value that `make` makes on it.
    init(idleSeconds: Int = 30, make: @escaping @Sendable () -> State) {
        self.idleSeconds = idleSeconds
        self.make = make
        pthread_mutex_init(lock, nil)
        pthread_cond_init(arrival, nil)
    }

    deinit {
        // The running thread holds a reference, so nobody waits any more.
        pthread_cond_destroy(arrival)
        pthread_mutex_destroy(lock)
        arrival.deallocate()
        lock.deallocate()
    }

    /// Puts a job at the end of the queue.
    func submit(_ job: @escaping Job) {
        pthread_mutex_lock(lock)
        jobs.append(job)
        let mustStart = !isRunning
        isRunning = true
        pthread_mutex_unlock(lock)
        // Not under the lock: the thread would wake only to wait for it.
        if mustStart { start() } else { pthread_cond_signal(arrival) }
    }

    /// Runs a job and waits for its result without holding a thread.
    func run<Result: Sendable>(_ job: @escaping @Sendable (State) throws -> Result) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            submit { state in continuation.resume(with: Swift.Result { try job(state) }) }
        }
    }

    /// Begins a job whose result another thread will wait for, blocked.
    func begin<Result: Sendable>(_ job: @escaping @Sendable (State) throws -> Result) -> Delivery<Result> {
        let delivery = Delivery<Result>()
        submit { state in delivery.complete(Swift.Result { try job(state) }) }
        return delivery
    }

    /// Waits for the jobs that are in the queue, blocked.
    func finishJobs() {
        pthread_mutex_lock(lock)
        let isIdle = !isRunning
        pthread_mutex_unlock(lock)
        if isIdle { return }
        let end = DispatchSemaphore(value: 0)
        submit { _ in end.signal() }
        end.wait()
    }

    /// Lets the thread end after the jobs that are in the queue. A later job starts it again.
    func stop() {
        pthread_mutex_lock(lock)
        isStopping = true
        pthread_cond_signal(arrival)
        pthread_mutex_unlock(lock)
    }

    private func start() {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        // JavaScriptCore limits recursion by the size of the stack; documents may nest a thousand levels deep.
        pthread_attr_setstacksize(&attributes, 4 << 20)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        let box = Unmanaged.passRetained(ThreadBody { self.work() })
        #if canImport(Glibc)
            var thread = pthread_t()
        #else
            var thread: pthread_t?
        #endif
        let status = pthread_create(
            &thread, &attributes,
            { argument in
                #if canImport(Glibc)
                    let body = Unmanaged<ThreadBody>.fromOpaque(argument!).takeRetainedValue()
                #else
                    let body = Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue()
                #endif
                body.run()
                return nil
            }, box.toOpaque())
        pthread_attr_destroy(&attributes)
        precondition(status == 0, "no thread for JavaScript could be started: error \(status)")
    }

    private func work() {
        JavaScriptProcess.unblockSignals()
        let state = make()
        pthread_mutex_lock(lock)
        var timedOut = false
        while true {
            if !jobs.isEmpty {
                let batch = jobs
                jobs = []
                timedOut = false
                pthread_mutex_unlock(lock)
                for job in batch { job(state) }
                pthread_mutex_lock(lock)
            } else if timedOut || isStopping {
                break
            } else {
                var deadline = timespec()
                clock_gettime(CLOCK_REALTIME, &deadline)
                deadline.tv_sec += idleSeconds
                timedOut = pthread_cond_timedwait(arrival, lock, &deadline) == ETIMEDOUT
            }
        }
        isRunning = false
        isStopping = false
        pthread_mutex_unlock(lock)
    }
}

private final class ThreadBody {
    let run: () -> Void
    init(_ run: @escaping () -> Void) { self.run = run }
}

/// A result that comes from another thread.
final class Delivery<Value: Sendable>: Sendable {
    /// Protects the value until it is there.
    private let value = Mutex<Result<Value, any Error>?>(nil)
    private let arrival = DispatchSemaphore(value: 0)

    init() {}

    /// One that is there already.
    init(_ result: Result<Value, any Error>) { complete(result) }

    func complete(_ result: Result<Value, any Error>) {
        value.withLock { $0 = result }
        arrival.signal()
    }

    /// Waits for the value. Blocks; to be called once.
    func wait() throws -> Value {
        arrival.wait()
        guard let result = value.withLock({ $0 }) else {
            preconditionFailure("a result was announced and is not there")
        }
        return try result.get()
    }
}
