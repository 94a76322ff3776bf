import CouchDB
import Synchronization
import TokenPool

/// How long a pilot keeps trying to bring something into a database that is not heard of.
///
/// As long as its options say while it works. Once it was told to stop, each thing for the grace, counted from the signal or
/// from when it came up, whichever is later; told again, nothing is tried a second time.
final class Patience: Sendable {
    private struct State {
        var stoppedAt: Timestamp?
        var isOver = false
        var nextPause = 0
        var pauses: [Int: Task<Void, any Error>] = [:]
    }
    // Protects what the pilot's loop says against what its tasks ask, and the pauses that a signal ends.
    private let state = Mutex(State())
    let length: Duration
    private let grace: Duration
    private let clock: any PoolClock

    init(_ length: Duration, grace: Duration, _ clock: any PoolClock) {
        self.length = length
        self.grace = grace
        self.clock = clock
    }

    /// The pilot was told to stop, or told again. Who pauses between two tries makes the next one now.
    func stop() {
        let pauses = state.withLock { state in
            if state.stoppedAt != nil { state.isOver = true }
            state.stoppedAt = state.stoppedAt ?? clock.now()
            return state.pauses.values.map { $0 }
        }
        for pause in pauses { pause.cancel() }
    }

    /// Whether something that came up at that moment is to be tried once more.
    func allowsRetry(since start: Timestamp, atMost limit: Duration? = nil) -> Bool {
        let now = clock.now()
        return state.withLock { state in
            guard !state.isOver else { return false }
            guard let stoppedAt = state.stoppedAt else { return now < start + (limit ?? length) }
            return now < max(stoppedAt, start) + grace
        }
    }

    /// Waits about so long, or until the pilot is told to stop.
    func pause(_ duration: Duration) async throws {
        let sleep = Task { try await Task.sleep(for: duration * Double.random(in: 0.5...1.5)) }
        let number = state.withLock { state in
            state.nextPause += 1
            state.pauses[state.nextPause] = sleep
            return state.nextPause
        }
        defer { state.withLock { $0.pauses[number] = nil } }
        await withTaskCancellationHandler {
            // Cancelled by a signal: the next try follows at once.
            _ = await sleep.result
        } onCancel: {
            sleep.cancel()
        }
        try Task.checkCancellation()
    }

    /// Does work again after a growing pause while the server is not heard of or overloaded, for as long as patience lasts.
    func retrying<Value: Sendable>(
        atMost limit: Duration? = nil, _ work: @Sendable () async throws -> Value
    ) async throws -> Value {
        let start = clock.now()
        var length = Duration.milliseconds(100)
        while true {
            do {
                return try await work()
            } catch let error as CouchDBError where error.isPassing && allowsRetry(since: start, atMost: limit) {
                try await pause(length)
                length = min(length * 2, .seconds(10))
            }
        }
    }
}

extension CouchDBError {
    /// Whether the same request may do better later.
    var isPassing: Bool { isUncertain || code == .tooManyRequests }
}
