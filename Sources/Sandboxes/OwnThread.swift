import Glibc
import Synchronization

/// Says to blocking work that nobody waits for it any more.
package final class CancellationFlag: Sendable {
    private struct State {
        var isCancelled = false
        var handlers: [Int: @Sendable () -> Void] = [:]
        var next = 0
    }

    /// Protects the flag and what is to be called when it is raised.
    private let state = Mutex(State())

    package init() {}

    package var isCancelled: Bool { state.withLock { $0.isCancelled } }

    package func check() throws { if isCancelled { throw CancellationError() } }

    func cancel() {
        let handlers = state.withLock { state in
            state.isCancelled = true
            defer { state.handlers = [:] }
            return state.handlers.values.map { $0 }
        }
        for handler in handlers { handler() }
    }

    /// Calls the handler when the flag is raised while `body` runs, at once when it already is.
    func withHandler<Result>(_ handler: @escaping @Sendable () -> Void, _ body: () throws -> Result) rethrows -> Result
    {
        let key = state.withLock { state -> Int? in
            if state.isCancelled { return nil }
            state.next += 1
            state.handlers[state.next] = handler
            return state.next
        }
        guard let key else {
            handler()
            return try body()
        }
        defer { _ = state.withLock { $0.handlers.removeValue(forKey: key) } }
        return try body()
    }
}

/// Runs blocking work on a thread made for it, so that it never holds up the threads on which tasks run.
package func onOwnThread<Value: Sendable>(
    _ body: @escaping @Sendable (CancellationFlag) throws -> Value
) async throws -> Value {
    let flag = CancellationFlag()
    return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Value, any Error>) in
            let work = Work { continuation.resume(with: Result { try body(flag) }) }
            var thread = pthread_t()
            let box = Unmanaged.passRetained(work)
            let status = pthread_create(
                &thread, nil,
                { pointer in
                    Unmanaged<Work>.fromOpaque(pointer!).takeRetainedValue().body()
                    return nil
                }, box.toOpaque())
            guard status == 0 else {
                box.release()
                continuation.resume(
                    throwing: SandboxError(.failed, "no thread could be started: \(String(cString: strerror(status)))"))
                return
            }
            pthread_detach(thread)
        }
    } onCancel: {
        flag.cancel()
    }
}

private final class Work: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}
