import Synchronization

/// Tells waiters that the sequence moved on. Waiting costs no thread and no polling.
final class ChangeSignal: Sendable {
    private struct Waiter {
        let after: Int
        let continuation: CheckedContinuation<Int, any Error>
    }

    private struct State {
        var sequence: Int
        var waiters: [Int: Waiter] = [:]
        var nextWaiter = 0
        var closing: StoreError?
    }

    /// Protects the latest sequence and who waits for a later one.
    private let state: Mutex<State>

    init(sequence: Int) { state = Mutex(State(sequence: sequence)) }

    var sequence: Int { state.withLock { $0.sequence } }

    /// Wakes all who wait for this sequence.
    func advance(to sequence: Int) {
        let due: [Waiter] = state.withLock { state in
            guard sequence > state.sequence else { return [] }
            state.sequence = sequence
            if state.waiters.isEmpty { return [] }
            let due = state.waiters.filter { $0.value.after < sequence }
            if due.count == state.waiters.count {
                state.waiters = [:]
            } else {
                for key in due.keys { state.waiters[key] = nil }
            }
            return Array(due.values)
        }
        for waiter in due { waiter.continuation.resume(returning: sequence) }
    }

    /// Ends all waiting, now and later.
    func close(_ error: StoreError) {
        let waiters = state.withLock { state in
            state.closing = error
            defer { state.waiters = [:] }
            return state.waiters
        }
        for waiter in waiters.values { waiter.continuation.resume(throwing: error) }
    }

    /// Returns the latest sequence once it is greater than `after`.
    func wait(after: Int) async throws -> Int {
        let key = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                // A cancellation after this look at the flag finds the waiter in the list; one before it shows here.
                let result: Result<Int, any Error>? = state.withLock { state in
                    if let closing = state.closing { return .failure(closing) }
                    if state.sequence > after { return .success(state.sequence) }
                    if Task.isCancelled { return .failure(CancellationError()) }
                    state.waiters[key] = Waiter(after: after, continuation: continuation)
                    return nil
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            let waiter = state.withLock { $0.waiters.removeValue(forKey: key) }
            waiter?.continuation.resume(throwing: CancellationError())
        }
    }
}
