import Dispatch
import GRDB
import Synchronization

/// Answers short reads, on the thread that asks when it may wait for a disk (``ReadingThread``) and a connection is free;
/// else a few threads take what waits and answer it from one snapshot.
///
/// A read in place costs a few system calls, where a change of thread to a reader and back costs several times that. When
/// one took long, its data were not in memory: the next ones go to the readers, so that whoever else is served by the
/// asking thread does not wait with it. The snapshot is always younger than the reads that it answers, so a reader sees
/// every write that was acknowledged before it asked. Long reads do not belong here: those behind them would wait.
final class ReadQueue: Sendable {
    /// Reads at a time.
    private static let connectionCount = 2
    /// So many reads go to the readers after one in place took long.
    static let detour = 64
    /// Reads that share a snapshot at most, so that others can begin on the next thread.
    private static let shareLimit = 16

    private typealias Job = @Sendable (Result<Database, any Error>) -> Void

    private struct State {
        var pending: [Job] = []
        /// Connections that nobody uses.
        var idle: [DatabaseQueue]
        /// Reads that are still not to be made in place.
        var detour = 0
        var isClosed = false
    }

    private let connections: [DatabaseQueue]
    private let patience: Duration
    private let threads: DispatchQueue
    /// Threads at work.
    private let work = DispatchGroup()
    /// Protects what waits and which connections are free.
    private let state: Mutex<State>

    /// Opens a file that is there.
    ///
    /// - Parameter patience: A read in place that takes longer is the last one for a while.
    init(path: String, label: String, patience: Duration = .milliseconds(2)) throws {
        self.patience = patience
        connections = try (0..<Self.connectionCount).map { _ in try DatabaseFile.openReader(path: path, label: label) }
        state = Mutex(State(idle: connections))
        threads = DispatchQueue(label: "store.readers.\(label)", qos: .userInitiated, attributes: .concurrent)
    }

    /// Reads from a snapshot taken after this call.
    func perform<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        if ReadingThread.isCurrent, let connection = takeInPlace() { return try read(connection, body) }
        return try await withCheckedThrowingContinuation { continuation in
            submit { database in continuation.resume(with: Result { try body(try database.get()) }) }
        }
    }

    /// A free connection, unless others wait for one or reads took long of late.
    private func takeInPlace() -> DatabaseQueue? {
        state.withLock { state in
            if state.detour > 0 {
                state.detour -= 1
                return nil
            }
            guard state.pending.isEmpty, !state.isClosed, let connection = state.idle.popLast() else { return nil }
            // Entered under the lock: whoever closes waits for it.
            work.enter()
            return connection
        }
    }

    private func read<Value>(_ connection: DatabaseQueue, _ body: (Database) throws -> Value) throws -> Value {
        let start = ContinuousClock.now
        let waits = ReadingThread.waits
        let result = Result { try Self.withSnapshot(connection, body) }
        // A thread that others kept from its processor did not wait for data.
        let isSlow = ContinuousClock.now - start > patience && ReadingThread.waits != waits
        let mustStart = state.withLock { state in
            if isSlow { state.detour = Self.detour }
            if state.pending.isEmpty { state.idle.append(connection) }
            return !state.pending.isEmpty
        }
        if mustStart { startReader(connection) } else { work.leave() }
        return try result.get()
    }

    private func submit(_ job: @escaping Job) {
        let (isClosed, connection) = state.withLock { state -> (Bool, DatabaseQueue?) in
            if state.isClosed { return (true, nil) }
            state.pending.append(job)
            guard let connection = state.idle.popLast() else { return (false, nil) }
            work.enter()
            return (false, connection)
        }
        if isClosed { job(.failure(Self.closed)) }
        if let connection { startReader(connection) }
    }

    private func startReader(_ connection: DatabaseQueue) {
        threads.async {
            self.drain(connection)
            self.work.leave()
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

    private func drain(_ connection: DatabaseQueue) {
        while true {
            let jobs = state.withLock { state -> [Job] in
                if state.pending.isEmpty {
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
                try Self.withSnapshot(connection) { database in
                    hasBegun = true
                    for job in jobs { job(.success(database)) }
                }
            } catch {
                // A job's own failure goes to its own caller, and nobody is answered twice when only the end failed.
                if !hasBegun { for job in jobs { job(.failure(error)) } }
            }
        }
    }

    private static func withSnapshot<Value>(_ connection: DatabaseQueue, _ body: (Database) throws -> Value) throws
        -> Value
    {
        try connection.unsafeRead { database in
            try SQLStatement(database, "BEGIN").run()
            let result = Result { try body(database) }
            // SQLite may have ended it already: what failed was told to the one that met it.
            if database.isInsideTransaction { try SQLStatement(database, "COMMIT").run() }
            return try result.get()
        }
    }
}
