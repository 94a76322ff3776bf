import Dispatch
import GRDB
import Synchronization

/// Gathers what concurrent callers want written into transactions: while one is on its way to the disk the next fills.
///
/// Jobs run one after the other on the queue's own thread. When one throws, all of its transaction are run again, each
/// in a transaction of its own, so that it fails alone.
final class WriteQueue: Sendable {
    /// Something to write. Can run twice; what the last run did counts.
    struct Job: Sendable {
        let run: @Sendable (inout EditWriter) throws -> Void
        /// Called once, after the commit or with what prevented it.
        let finish: @Sendable ((any Error)?) -> Void
    }

    private struct State {
        var pending: [Job] = []
        var isDraining = false
        var closing: StoreError?
        var commitCount = 0
    }

    private let pool: DatabasePool
    private let makeWriter: @Sendable (Database) throws -> EditWriter
    private let didCommit: @Sendable (EditWriter) -> Void
    private let thread: DispatchQueue
    /// Protects the jobs that wait and whether somebody works on them.
    private let state = Mutex(State())

    /// - Parameters:
    ///   - makeWriter: A writer with the state as last committed, for a new transaction.
    ///   - didCommit: Told of each commit before the callers are.
    init(
        pool: DatabasePool, label: String, makeWriter: @escaping @Sendable (Database) throws -> EditWriter,
        didCommit: @escaping @Sendable (EditWriter) -> Void
    ) {
        self.pool = pool
        self.makeWriter = makeWriter
        self.didCommit = didCommit
        thread = DispatchQueue(label: "store.writer.\(label)", qos: .userInitiated)
    }

    /// Transactions so far.
    var commitCount: Int { state.withLock { $0.commitCount } }

    /// Runs a job in the next transaction and answers once it is on disk.
    func perform<Value: Sendable>(_ body: @escaping @Sendable (inout EditWriter) throws -> Value) async throws -> Value
    {
        return try await withCheckedThrowingContinuation { continuation in
            let box = ResultBox<Value>()
            submit(
                Job(
                    run: { writer in box.value = try body(&writer) },
                    finish: { error in
                        if let error {
                            continuation.resume(throwing: error)
                        } else if let value = box.value {
                            continuation.resume(returning: value)
                        }
                    }))
        }
    }

    private func submit(_ job: Job) {
        let (closing, mustStart) = state.withLock { state -> (StoreError?, Bool) in
            if let closing = state.closing { return (closing, false) }
            state.pending.append(job)
            defer { state.isDraining = true }
            return (nil, !state.isDraining)
        }
        if let closing { job.finish(closing) }
        if mustStart { thread.async { self.drain() } }
    }

    /// Refuses new jobs with this error and returns when those before are done.
    func close(_ error: StoreError) async {
        state.withLock { $0.closing = error }
        await withCheckedContinuation { continuation in thread.async { continuation.resume() } }
    }

    private func drain() {
        while true {
            let jobs = state.withLock { state -> [Job] in
                if state.pending.isEmpty { state.isDraining = false }
                defer { state.pending = [] }
                return state.pending
            }
            if jobs.isEmpty { return }
            do {
                try commit(jobs)
                for job in jobs { job.finish(nil) }
            } catch let error where jobs.count == 1 {
                jobs[0].finish(error)
            } catch {
                for job in jobs { alone(job) }
            }
        }
    }

    private func alone(_ job: Job) {
        do {
            try commit([job])
        } catch {
            job.finish(error)
            return
        }
        job.finish(nil)
    }

    private func commit(_ jobs: [Job]) throws {
        let writer = try pool.writeWithoutTransaction { database in
            var writer = try makeWriter(database)
            try database.inTransaction(.immediate) {
                for job in jobs { try job.run(&writer) }
                try writer.finish()
                return .commit
            }
            return writer
        }
        state.withLock { $0.commitCount += 1 }
        didCommit(writer)
    }
}

/// Carries a job's result from the writer's thread to its caller.
///
/// `@unchecked Sendable`: written on the writer's thread only, and read there in `finish`, after the last write.
private final class ResultBox<Value: Sendable>: @unchecked Sendable {
    var value: Value?
}
