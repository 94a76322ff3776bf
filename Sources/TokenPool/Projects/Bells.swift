import Synchronization

/// Wakes those who wait for a file of a project when something happened to it in this process.
final class Bells: Sendable {
    private enum Listener {
        /// Does not wait yet.
        case listening
        /// Need not wait: it rang.
        case rung
        case waiting(CheckedContinuation<Void, Never>)
    }
    private struct State {
        var listeners: [Int: [Int: Listener]] = [:]
        var count = 0
        var isOver = false
    }
    /// Protects who listens.
    private let state = Mutex(State())

    /// Whether nobody is to wait any more.
    var isOver: Bool { state.withLock { $0.isOver } }

    /// Begins to listen for the bell of a project: whoever looks for a file afterwards and finds none misses no ring. Ends with
    /// ``forget(_:of:)``.
    func listen(for number: Int) -> Int {
        state.withLock { state in
            state.count += 1
            state.listeners[number, default: [:]][state.count] = .listening
            return state.count
        }
    }

    /// Returns when the bell has rung since the last wait, after so long, or when the task is cancelled.
    func wait(_ name: Int, for number: Int, atMost pause: Duration) async {
        let sleeper = Task {
            do { try await Task.sleep(for: pause) } catch { return }
            wake(number, name)
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isRung = state.withLock { state in
                    if case .listening? = state.listeners[number]?[name], !state.isOver, !Task.isCancelled {
                        state.listeners[number]?[name] = .waiting(continuation)
                        return false
                    }
                    state.listeners[number]?[name] = .listening
                    return true
                }
                if isRung { continuation.resume() }
            }
        } onCancel: {
            wake(number, name)
        }
        sleeper.cancel()
    }

    /// Ends what ``listen(for:)`` began.
    func forget(_ name: Int, of number: Int) {
        state.withLock { state in
            state.listeners[number]?[name] = nil
            if state.listeners[number]?.isEmpty == true { state.listeners[number] = nil }
        }
    }

    /// Wakes all who wait for a file of the project.
    func ring(_ number: Int) { ring([number]) }

    /// Wakes everybody.
    func ringAll() { ring(state.withLock { Array($0.listeners.keys) }) }

    /// Wakes everybody, and nobody waits any more.
    func end() {
        state.withLock { $0.isOver = true }
        ringAll()
    }

    private func ring(_ numbers: [Int]) {
        let woken = state.withLock { state in
            var woken: [CheckedContinuation<Void, Never>] = []
            for number in numbers {
                for (name, listener) in state.listeners[number] ?? [:] {
                    if case .waiting(let continuation) = listener {
                        woken.append(continuation)
                        state.listeners[number]?[name] = .listening
                    } else {
                        state.listeners[number]?[name] = .rung
                    }
                }
            }
            return woken
        }
        for continuation in woken { continuation.resume() }
    }

    private func wake(_ number: Int, _ name: Int) {
        let continuation = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard case .waiting(let continuation)? = state.listeners[number]?[name] else { return nil }
            state.listeners[number]?[name] = .listening
            return continuation
        }
        continuation?.resume()
    }
}
