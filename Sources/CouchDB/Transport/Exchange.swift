import Synchronization

/// One request and its answer, between the task that waits and the transport's thread.
///
/// The thread puts bytes in, the task takes them out. When more than ``highWater`` bytes wait, the thread stops reading
/// from the connection until the task has taken them.
final class Exchange: Sendable {
    private struct State {
        var head: CheckedContinuation<TransportAnswer, any Error>?
        var buffer: [UInt8] = []
        var isPaused = false
        var end: Result<Void, TransportFailure>?
        var reader: CheckedContinuation<[UInt8]?, any Error>?
        var isCancelled = false
    }

    static let highWater = 256 * 1024

    /// Protects what both sides touch: continuations, bytes between them, and how it ended.
    private let state = Mutex(State())

    // MARK: the task's side

    /// Waits for the head (streamed) or for all. `start` posts the request once the answer can be received.
    func answer(start: () -> Void) async throws -> TransportAnswer {
        try await withCheckedThrowingContinuation { continuation in
            state.withLock { $0.head = continuation }
            start()
        }
    }

    /// Marks it as given up. The thread is told by a command of its own.
    func cancel() { state.withLock { $0.isCancelled = true } }

    /// Whether the answer has ended, in whatever way.
    var hasEnded: Bool { state.withLock { $0.end != nil } }

    /// The bytes that have come, or the next to come; `nil` at the end. One reader at a time.
    ///
    /// - Parameter resume: Tells the thread to go on reading.
    func next(resume: () -> Void) async throws -> [UInt8]? {
        try await withCheckedThrowingContinuation { continuation in
            let (result, mustResume) = state.withLock { state -> (Result<[UInt8]?, any Error>?, Bool) in
                if !state.buffer.isEmpty {
                    let bytes = state.buffer
                    state.buffer = []
                    let wasPaused = state.isPaused
                    state.isPaused = false
                    return (.success(bytes), wasPaused)
                }
                switch state.end {
                case .success: return (.success(nil), false)
                case .failure(let failure): return (.failure(failure), false)
                case nil:
                    state.reader = continuation
                    return (nil, false)
                }
            }
            if mustResume { resume() }
            if let result { continuation.resume(with: result) }
        }
    }

    // MARK: the thread's side

    var isCancelled: Bool { state.withLock { $0.isCancelled } }

    /// Hands over the head of a streamed answer, or a complete one.
    func deliver(_ answer: TransportAnswer) {
        let continuation = state.withLock { state in
            defer { state.head = nil }
            return state.head
        }
        continuation?.resume(returning: answer)
    }

    /// Hands over a piece of a streamed body. `false`: too much is waiting, offer it again after a resume.
    func offer(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let (reader, isTaken) = state.withLock { state -> (CheckedContinuation<[UInt8]?, any Error>?, Bool) in
            if let reader = state.reader {
                state.reader = nil
                return (reader, true)
            }
            if state.buffer.count >= Self.highWater {
                state.isPaused = true
                return (nil, false)
            }
            state.buffer.append(contentsOf: bytes)
            return (nil, true)
        }
        reader?.resume(returning: Array(bytes))
        return isTaken
    }

    /// Says how it ended; only the first time counts.
    func finish(_ result: Result<Void, TransportFailure>) {
        let (head, reader) = state.withLock { state in
            if state.end == nil { state.end = result }
            defer {
                state.head = nil
                state.reader = nil
            }
            return (state.head, state.reader)
        }
        if case .failure(let failure) = result {
            head?.resume(throwing: failure)
            reader?.resume(throwing: failure)
        } else {
            head?.resume(throwing: TransportFailure(code: .badAnswer, reason: "the answer has no head"))
            reader?.resume(returning: nil)
        }
    }
}
