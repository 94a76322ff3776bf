import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What a read of a body to send gave.
enum UploadRead {
    case bytes(Int)
    case end
    /// Nothing yet: the source will call for more.
    case wait
    case failed(String)
}

/// A body that is sent in pieces. All but ``length`` is called on the transport's thread.
protocol UploadSource: AnyObject, Sendable {
    /// The bytes in all; `nil` sends them chunked.
    var length: Int? { get }
    /// Begins to produce; `resume` is to be called after a ``UploadRead/wait``, from anywhere.
    func start(_ resume: @escaping @Sendable () -> Void)
    func read(into buffer: UnsafeMutableRawBufferPointer) -> UploadRead
    /// Whether it can begin anew, and does.
    func rewind() -> Bool
    /// No more is wanted.
    func stop()
}

/// A file. Its reads are the thread's own: they come from a local disk's cache nearly always.
final class FileSource: UploadSource {
    let length: Int?
    private let descriptor: Int32
    private let path: String

    init(path: String) throws {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError("read", path) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let number = errno
            close(descriptor)
            throw FileError("read", path, number)
        }
        // A pipe or device has no length to announce; a folder can not be sent.
        switch status.st_mode & S_IFMT {
        case S_IFREG: length = Int(status.st_size)
        case S_IFDIR:
            close(descriptor)
            throw FileError("read", path, EISDIR)
        default: length = nil
        }
    }

    deinit { close(descriptor) }

    func start(_ resume: @escaping @Sendable () -> Void) {}

    func read(into buffer: UnsafeMutableRawBufferPointer) -> UploadRead {
        while true {
            let count = systemRead(descriptor, buffer)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .end }
            if errno != EINTR { return .failed(FileError("read", path).description) }
        }
    }

    func rewind() -> Bool { lseek(descriptor, 0, SEEK_SET) == 0 }

    func stop() {}
}

private func systemRead(_ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer) -> Int {
    read(descriptor, buffer.baseAddress, buffer.count)
}

/// Pieces from an asynchronous sequence, drawn by a task that waits while more than ``highWater`` bytes are unsent.
final class ChannelSource: UploadSource {
    private struct State {
        var buffer: [UInt8] = []
        var offset = 0
        var hasEnded = false
        var failure: String?
        var isThreadWaiting = false
        var producer: CheckedContinuation<Void, Never>?
        var task: Task<Void, Never>?
        var isStopped = false
    }

    private static let highWater = 256 * 1024

    let length: Int?
    private let chunks: any AsyncSequence<[UInt8], any Error> & Sendable
    /// Protects the pieces between the task and the transport's thread.
    private let state = Mutex(State())

    init(_ chunks: any AsyncSequence<[UInt8], any Error> & Sendable, length: Int?) {
        self.chunks = chunks
        self.length = length
    }

    func start(_ resume: @escaping @Sendable () -> Void) {
        let task = Task {
            var failure: String?
            do {
                for try await chunk in chunks where await !put(chunk, resume) { return }
            } catch {
                failure = "the body's source failed: \(error)"
            }
            let isThreadWaiting = state.withLock { state in
                state.hasEnded = true
                state.failure = failure
                defer { state.isThreadWaiting = false }
                return state.isThreadWaiting
            }
            if isThreadWaiting { resume() }
        }
        state.withLock { $0.task = task }
    }

    /// Adds a piece and waits until there is room for more. `false`: no more is wanted.
    private func put(_ chunk: [UInt8], _ resume: () -> Void) async -> Bool {
        if chunk.isEmpty { return true }
        let (isThreadWaiting, isStopped) = state.withLock { state in
            if state.buffer.isEmpty { state.buffer = chunk } else { state.buffer.append(contentsOf: chunk) }
            defer { state.isThreadWaiting = false }
            return (state.isThreadWaiting, state.isStopped)
        }
        if isStopped { return false }
        if isThreadWaiting { resume() }
        await withCheckedContinuation { continuation in
            let hasRoom = state.withLock { state in
                if state.isStopped || state.buffer.count - state.offset < Self.highWater { return true }
                state.producer = continuation
                return false
            }
            if hasRoom { continuation.resume() }
        }
        return state.withLock { !$0.isStopped }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> UploadRead {
        let (result, producer) = state.withLock { state -> (UploadRead, CheckedContinuation<Void, Never>?) in
            let count = min(buffer.count, state.buffer.count - state.offset)
            if count == 0 {
                if let failure = state.failure { return (.failed(failure), nil) }
                if state.hasEnded { return (.end, nil) }
                state.isThreadWaiting = true
                return (.wait, nil)
            }
            state.buffer.withUnsafeBytes {
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[state.offset..<state.offset + count]))
            }
            state.offset += count
            if state.offset == state.buffer.count {
                state.buffer = []
                state.offset = 0
            }
            guard state.buffer.count - state.offset < Self.highWater else { return (.bytes(count), nil) }
            defer { state.producer = nil }
            return (.bytes(count), state.producer)
        }
        producer?.resume()
        return result
    }

    func rewind() -> Bool { false }

    func stop() {
        let (task, producer) = state.withLock { state in
            state.isStopped = true
            defer { state.producer = nil }
            return (state.task, state.producer)
        }
        task?.cancel()
        producer?.resume()
    }
}
