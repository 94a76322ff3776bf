import CJavaScriptCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Watches one call into JavaScript: JavaScriptCore asks it, every few milliseconds of work, whether to go on.
struct JavaScriptWatch {
    /// Seconds of work between two looks; calls on ordinary batches are over before the first.
    static let interval = 0.02

    private let limits: JavaScriptLimits
    private var started = 0.0
    private var looks = 0
    /// Why the call had to stop.
    private(set) var reason: JavaScriptError?

    init(limits: JavaScriptLimits) { self.limits = limits }

    /// A call begins.
    mutating func begin() {
        started = Self.work
        looks = 0
        reason = nil
    }

    /// A call is over. What it left behind counts when it was a long one: a single operation that takes all memory is never
    /// asked while it runs.
    mutating func end(_ context: JSContextRef) {
        if reason == nil && (looks > 0 || Self.work - started > Self.interval) && takesTooMuch(context) {
            reason = .outOfMemory(bytes: limits.bytes)
        }
    }

    mutating func mustStop(_ context: JSContextRef) -> Bool {
        looks += 1
        if Self.work - started >= limits.seconds {
            reason = .timedOut(seconds: limits.seconds)
        } else if takesTooMuch(context) {
            reason = .outOfMemory(bytes: limits.bytes)
        }
        return reason != nil
    }

    private func takesTooMuch(_ context: JSContextRef) -> Bool {
        guard Self.heap(context) > limits.bytes else { return false }
        // It may be garbage of earlier batches.
        JSSynchronousGarbageCollectForDebugging(context)
        return Self.heap(context) > limits.bytes
    }

    /// Processor time of this thread, which a busy machine does not use up.
    private static var work: Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private static func heap(_ context: JSContextRef) -> Int {
        let statistics = JSGetMemoryUsageStatistics(context)
        return ["heapCapacity", "extraMemorySize"].reduce(0) { total, name in
            let key = JSStringCreateWithUTF8CString(name)
            defer { JSStringRelease(key) }
            let value = JSValueToNumber(context, JSObjectGetProperty(context, statistics, key, nil), nil)
            return total + (value.isFinite ? Int(value) : 0)
        }
    }
}

/// What has to be said to JavaScriptCore once, before the first engine is made.
enum JavaScriptProcess {
    /// The collector halts threads by this signal; nothing else in the process may use it.
    static let collectorSignal = SIGPWR

    static let isPrepared: Bool = {
        // Has compiled code look for a stop by itself. The default is to interrupt the thread by a signal and to patch the
        // code that it runs; now and then that does not stop an endless loop (2.50.6).
        precondition(
            jsc_options_set_boolean("usePollingTraps", 1) != 0,
            "this JavaScriptCore can not be told to stop endless loops; use 2.40 or later")
        precondition(
            JSConfigureSignalForGC(collectorSignal), "JavaScriptCore was started before its signal was chosen")
        return true
    }()

    /// A thread inherits the mask of the one that started it, and Dispatch's workers block every signal; with that mask
    /// the collector would wait forever.
    static func unblockSignals() {
        var signals = sigset_t()
        sigemptyset(&signals)
        for signal in [collectorSignal, SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE] { sigaddset(&signals, signal) }
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    }
}
