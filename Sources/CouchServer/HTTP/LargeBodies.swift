import Dispatch

/// Where large request bodies are taken apart: on a thread of its own, one after the other, so that however long they take,
/// small requests go on.
enum LargeBodies {
    /// From this many bytes on a body is large.
    static let size = 1 << 20

    private static let queue = DispatchQueue(label: "tokenpool.bodies")

    static func perform<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result(catching: work)) }
        }
    }
}
