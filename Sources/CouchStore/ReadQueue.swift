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
    }

    private let connections: [DatabaseQueue]
    private let threads: DispatchQueue
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
        let mustStart = state.withLock { state in
            state.pending.append(job)
            guard state.busyThreads < Self.threadCount else { return false }
            state.busyThreads += 1
            return true
        }
        if mustStart { threads.async { self.drain() } }
    }

    /// Closes the connections once those who read are done. To be called before the writer's connection is closed, which
    /// then clears the log away.
    func close() throws { for connection in connections { try connection.close() } }

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
