import Dispatch
import Synchronization

/// Threads for calls that wait for the network, beside the cooperative pool; and only so many calls at a time.
final class WaitingThreads: Sendable {
    private static let longestQueue = 64
    private let queues: [DispatchQueue]
    /// How many calls are made or wait for it on each thread.
    private let waiting: Mutex<[Int]>

    init(count: Int) {
        queues = (0..<count).map { DispatchQueue(label: "tokenpool.ldap.\($0)") }
        waiting = Mutex(Array(repeating: 0, count: count))
    }

    /// - Throws: ``LDAPFault`` when too many wait already, or what `work` throws.
    func perform<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        let place = waiting.withLock { waiting -> Int? in
            // The shortest queue: a server that does not answer holds up those behind, not everybody.
            guard waiting.reduce(0, +) < Self.longestQueue,
                let place = waiting.indices.min(by: { waiting[$0] < waiting[$1] })
            else { return nil }
            waiting[place] += 1
            return place
        }
        guard let place else { throw LDAPFault(description: "too many passwords are being checked") }
        defer { waiting.withLock { $0[place] -= 1 } }
        return try await withCheckedThrowingContinuation { continuation in
            queues[place].async { continuation.resume(with: Result(catching: work)) }
        }
    }
}
