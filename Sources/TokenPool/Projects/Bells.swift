import Synchronization

/// Wakes those who wait for a file of a project when something happened to it in this process.
final class Bells: Sendable {
    private struct State {
        var waiting: [Int: [Int: CheckedContinuation<Void, Never>]] = [:]
        var count = 0
    }
    /// Protects who waits.
    private let state = Mutex(State())

    /// Returns when the bell of a project rings, or after so long.
    func wait(for number: Int, atMost pause: Duration) async {
        let name = state.withLock { state in
            state.count += 1
            return state.count
        }
        await withCheckedContinuation { continuation in
            state.withLock { $0.waiting[number, default: [:]][name] = continuation }
            Task {
                do { try await Task.sleep(for: pause) } catch {}
                wake(number, name)
            }
        }
    }

    /// Wakes all who wait for a file of the project.
    func ring(_ number: Int) {
        let woken = state.withLock { $0.waiting.removeValue(forKey: number) }
        for continuation in (woken ?? [:]).values { continuation.resume() }
    }

    /// Wakes everybody.
    func ringAll() {
        let woken = state.withLock { state in
            defer { state.waiting = [:] }
            return state.waiting
        }
        for continuations in woken.values { for continuation in continuations.values { continuation.resume() } }
    }

    private func wake(_ number: Int, _ name: Int) {
        let continuation = state.withLock { state in
            defer { if state.waiting[number]?.isEmpty == true { state.waiting[number] = nil } }
            return state.waiting[number]?.removeValue(forKey: name)
        }
        continuation?.resume()
    }
}
