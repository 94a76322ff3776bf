import Dispatch
import GRDB
import Synchronization

/// Answers short reads: a few threads take what waits and answer it from one snapshot.
///
/// So many readers at once cost few transactions, and a single one costs one change of thread each way. The snapshot is
/// always younger than the reads that it answers, so a reader sees every write that was acknowledged before it asked.
/// Long reads do not belong here: those behind them would wait. Each thread has a connection of its own: a pool's hand-over
/// costs more than a short read.
final class ReadQueue: Sendable {
    /// Reads at a time.
    private static let threadCount = 2
    /// Reads that share a snapshot at most, so that others can begin on the next thread.
    private static let shareLimit = 16

    private typealias Job = @Sendable (Result<DocumentRows, any Error>) -> Void

    private struct State {
        var pending: [Job] = []
        var busyThreads = 0
        /// Connections that no thread uses.
        var idle: [DatabaseQueue]
        var isClosed = false
    }

    private let connections: [DatabaseQueue]
    private let threads: DispatchQueue
    /// Threads at work.
    private let work = DispatchGroup()
    /// Protects what waits and how many threads work on it.
    private let state: Mutex<State>

    init(path: String, label: String) throws {
        connections = try (0..<Self.threadCount).map { _ in try DatabaseFile.openReader(path: path, label: label) }
        state = Mutex(State(idle: connections))
        threads = DispatchQueue(label: "store.readers.\(label)", qos: .userInitiated, attributes: .concurrent)
    }

    /// Reads from a snapshot taken after this call.
    func perform<Value: Sendable>(_ body: @escaping @Sendable (DocumentRows) throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            submit { rows in continuation.resume(with: Result { try body(try rows.get()) }) }
        }
    }

    private func submit(_ job: @escaping Job) {
        let (isClosed, mustStart) = state.withLock { state in
            if state.isClosed { return (true, false) }
            state.pending.append(job)
            guard state.busyThreads < Self.threadCount else { return (false, false) }
            state.busyThreads += 1
            // Entered under the lock: whoever closes waits for it.
            work.enter()
            return (false, true)
        }
        if isClosed { job(.failure(Self.closed)) }
        if mustStart {
            threads.async {
                self.drain()
                self.work.leave()
            }
        }
    }

    /// Refuses what has not begun, waits for those who read, and closes the connections. Blocks. To be called before the
    /// writer's connection is closed, which then clears the log away.
    func close() throws {
        let refused = state.withLock { state in
            defer { state.pending = [] }
            state.isClosed = true
            return state.pending
        }
        for job in refused { job(.failure(Self.closed)) }
        // SQLite's functions must not be called on a closed connection, and GRDB does.
        work.wait()
        for connection in connections { try connection.close() }
    }

    private static var closed: StoreError { StoreError(.closed, "Database does not exist.") }

    private func drain() {
        // There are as many connections as threads.
        let connection = state.withLock { $0.idle.removeLast() }
        while true {
            let jobs = state.withLock { state -> [Job] in
                if state.pending.isEmpty {
                    state.busyThreads -= 1
                    state.idle.append(connection)
                    return []
                }
                let count = min(state.pending.count, Self.shareLimit)
                defer { state.pending.removeFirst(count) }
                return Array(state.pending[..<count])
            }
            if jobs.isEmpty { return }
            var hasBegun = false
            do {
                try connection.unsafeRead { database in
                    try SQLStatement(database, "BEGIN").run()
                    hasBegun = true
                    let rows = DocumentRows(database: database)
                    for job in jobs { job(.success(rows)) }
                    // SQLite may have ended it already: what failed was told to the job that met it.
                    if database.isInsideTransaction { try SQLStatement(database, "COMMIT").run() }
                }
            } catch {
                // A job's own failure goes to its own caller, and nobody is answered twice when only the end failed.
                if !hasBegun { for job in jobs { job(.failure(error)) } }
            }
        }
    }
}
