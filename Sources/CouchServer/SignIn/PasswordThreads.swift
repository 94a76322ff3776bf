import Dispatch
import NIOCore
import Synchronization

/// Where passwords are hashed: on threads of their own, for hundreds of thousands of rounds would hold up every other
/// request; on half of the cores at most, so that no flood of passwords takes them all; and only so many at a time.
final class PasswordThreads: Sendable {
    static let shared = PasswordThreads(count: max(1, NIOCore.System.coreCount / 2))

    private static let longestQueue = 64
    private let queues: [DispatchQueue]
    /// How many are hashed or wait for it, and how many ever were.
    private let state = Mutex((waiting: 0, started: 0))

    init(count: Int) { queues = (0..<count).map { DispatchQueue(label: "tokenpool.passwords.\($0)") } }

    /// - Throws: 503 when too many wait already, or what `work` throws.
    func perform<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        let place = state.withLock { state -> Int? in
            guard state.waiting < Self.longestQueue else { return nil }
            state.waiting += 1
            state.started &+= 1
            return state.started
        }
        guard let place else { throw Workload.overload("too many passwords are being checked") }
        defer { state.withLock { $0.waiting -= 1 } }
        return try await withCheckedThrowingContinuation { continuation in
            queues[abs(place % queues.count)].async { continuation.resume(with: Result(catching: work)) }
        }
    }
}
