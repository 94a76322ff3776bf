import Synchronization
import TokenPool

/// The handle on a token that runs: how others end it, and the claim as last renewed.
final class RunControl: Sendable {
    private struct State {
        var claim: ClaimedToken
        var reason: PilotState.StopReason?
        var preparation: Task<Void, any Error>?
        var logs: [CapturedLog] = []
    }
    // Protects what the running task, the pilot's loop and renewals share.
    private let state: Mutex<State>
    let process = ChildProcess()
    /// The name of its lease.
    let lease: String

    init(_ claim: ClaimedToken) {
        lease = claim.lease.id
        state = Mutex(State(claim: claim))
    }

    /// The claim as last renewed.
    var claim: ClaimedToken {
        get { state.withLock { $0.claim } }
        set { state.withLock { $0.claim = newValue } }
    }

    /// Why it is being ended; the first reason counts.
    var stopReason: PilotState.StopReason? { state.withLock { $0.reason } }

    /// Ends it softly.
    func terminate(_ reason: PilotState.StopReason) {
        let preparation = state.withLock { state in
            state.reason = state.reason ?? reason
            return state.preparation
        }
        preparation?.cancel()
        // SIGTERM
        process.signal(15)
    }

    /// Ends it at once.
    func kill() {
        // SIGKILL
        process.signal(9)
    }

    /// Runs what comes before the command so that ``terminate(_:)`` cancels it.
    func prepare(_ work: @escaping @Sendable () async throws -> Void) async throws {
        let task = Task { try await work() }
        let isStopped = state.withLock { state in
            state.preparation = task
            return state.reason != nil
        }
        if isStopped { task.cancel() }
        defer { state.withLock { $0.preparation = nil } }
        try await task.value
    }

    func watch(_ logs: [CapturedLog]) { state.withLock { $0.logs = logs } }

    /// Gives back the space that long logs take without need.
    func trimLogs() {
        // Under the lock, since the descriptors are closed after `watch([])`.
        state.withLock { state in
            for log in state.logs { log.trim() }
        }
    }
}
