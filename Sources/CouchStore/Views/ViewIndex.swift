import CouchDocument
import Dispatch
import GRDB
import Logging
import Synchronization

/// One index: a file with the rows of some views, and the thread that keeps it up to date.
///
/// Readers that need it newer wait for the thread; all that wait at one time are served by one pass over the changes.
final class ViewIndex: Sendable {
    private struct Waiter {
        let sequence: Int
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        /// The sequence whose state the index shows.
        var sequence: Int
        var isUpdating = false
        var isCompacting = false
        var isClosed = false
        var waiters: [Waiter] = []
        var habit = ReadingHabit()
    }

    /// Passes without a snapshot at most, one after the other.
    private static let mostPasses = 2

    let definitions: ViewDefinitions
    let file: ViewIndexFile
    /// The design document for which it was opened first; others can have the same views.
    private let designID: String
    private let tasks: DatabaseTasks
    private let source: any ViewSource
    private let mostInSnapshot: Int
    private let logger: Logger
    let thread: JavaScriptThread<ViewEngine>
    /// Where long ways are gone, and nothing else is done.
    private let queue = DispatchQueue(label: "view index")
    /// Protects what readers and the queue tell each other.
    private let state: Mutex<State>

    /// Opens the index' file, and makes it when there is none. Blocks.
    init(
        _ definitions: ViewDefinitions, designID: String, path: String, source: any ViewSource,
        limits: JavaScriptLimits, mostInSnapshot: Int, tasks: DatabaseTasks, logger: Logger
    ) throws {
        self.definitions = definitions
        self.designID = designID
        self.tasks = tasks
        self.source = source
        self.mostInSnapshot = mostInSnapshot
        self.logger = logger
        file = try ViewIndexFile(path: path, trees: definitions.rows.count + 1)
        state = Mutex(State(sequence: try file.readNow { try $0.header().sequence }))
        thread = JavaScriptThread {
            ViewEngine(definitions, limits: limits) { message in
                logger.debug("message of a view function", metadata: ["message": "\(message)"])
            }
        }
    }

    // MARK: Catching up

    /// Waits until the index has seen that sequence.
    func catchUp(to sequence: Int) async throws {
        let isCurrent = state.withLock { state in
            state.habit.read()
            return Self.isCurrent(state, sequence)
        }
        if isCurrent { return }
        try await withCheckedThrowingContinuation { continuation in
            let mustStart = state.withLock { state -> Bool? in
                if state.isClosed { return nil }
                state.waiters.append(Waiter(sequence: sequence, continuation: continuation))
                defer { state.isUpdating = true }
                return !state.isUpdating
            }
            guard let mustStart else {
                continuation.resume(throwing: Self.closed)
                return
            }
            if mustStart { start() }
        }
    }

    /// Begins to catch up and does not wait.
    func catchUpInBackground(to sequence: Int) {
        let mustStart = state.withLock { state in
            if Self.isCurrent(state, sequence) || state.isClosed || state.isUpdating { return false }
            state.isUpdating = true
            return true
        }
        if mustStart { start() }
    }

    /// Something was committed. Begins to take it in when a reader is to be expected, and never waits.
    func didCommit(_ sequence: Int) {
        if state.withLock({ $0.habit.written() }) { catchUpInBackground(to: sequence) }
    }

    private static func isCurrent(_ state: State, _ sequence: Int) -> Bool {
        state.sequence >= sequence && !state.isClosed
    }

    private static var closed: StoreError { ViewIndexFile.closed }

    /// A few changes are taken in on the JavaScript thread itself: a reader waits for one thread to wake and not for three.
    private func start() {
        guard definitions.nativeMaps == nil else {
            queue.async { [self] in update() }
            return
        }
        thread.submit { [self] engine in
            if !update(.here(engine), mayBeLong: false) { queue.async { [self] in update() } }
        }
    }

    private func update() { _ = update(.beside(thread), mayBeLong: true) }

    /// - Returns: `false` when there is more to do than a page, and it may not be long.
    private func update(_ scripts: ViewScripts, mayBeLong: Bool) -> Bool {
        let update = ViewIndexUpdate(definitions, scripts: scripts)
        var isDone = false
        while !isDone {
            do {
                guard let sequence = try catchUp(update, mayBeLong) else { return false }
                isDone = reached(sequence)
            } catch {
                if !state.withLock({ $0.isClosed }) {
                    logger.warning("a view index was not brought up to date", metadata: ["reason": "\(error)"])
                }
                fail(error)
                isDone = true
            }
        }
        return true
    }

    /// Reads the log to its end.
    ///
    /// While many pages are read, documents that stood in a later one can be changed and move behind it all. So what is
    /// true of the index is only known after what was read to the end of the log in one snapshot. A snapshot keeps the
    /// database's log of writes from being moved away, so a long way is gone without one first; what came meanwhile is then
    /// taken from one, so that writers who are as fast as the index do not keep its readers waiting for ever.
    ///
    /// - Returns: The sequence whose state the index shows now; `nil` when the log is longer than a page and that may not be.
    private func catchUp(_ update: ViewIndexUpdate, _ mayBeLong: Bool) throws -> Int? {
        if state.withLock({ $0.isClosed }) { throw Self.closed }
        // The file is ahead when a long way was given up after a commit; going some of it again changes nothing.
        let start = mayBeLong ? try file.readNow { try $0.header().sequence } : state.withLock { $0.sequence }
        var position = start
        var passes = 0
        let work = tasks.begin(.indexer, design: designID, total: max(0, try source.lastSequence() - start))
        defer { work.end() }
        let source = FollowedSource(source: source) { work.update(done: max(0, $0 - start)) }
        while true {
            if state.withLock({ $0.isClosed }) { throw Self.closed }
            let end = try source.lastSequence()
            work.update(done: position - start, total: max(0, end - start))
            let page = try source.changes(after: position, through: .max)
            if !page.isFull {
                let sequence = max(end, page.lastSequence)
                if !page.isEmpty { try update.run(page, as: sequence, file: file) }
                return sequence
            }
            guard mayBeLong else { return nil }
            func run(_ source: any ViewSource, through end: Int) throws {
                try update.run(
                    from: position, through: end, source: source, file: file,
                    isCancelled: { state.withLock { $0.isClosed } }, committed: { position = $0 })
                if state.withLock({ $0.isClosed }) { throw Self.closed }
                position = max(position, end)
            }
            if end - position > mostInSnapshot && passes < Self.mostPasses {
                passes += 1
                try run(source, through: end)
                continue
            }
            try source.atOneMoment { moment in try run(moment, through: moment.lastSequence()) }
            return position
        }
    }

    /// Lets those go on who waited for no more than this, and answers whether nobody waits any more. Who goes on then
    /// finds the index at rest.
    private func reached(_ sequence: Int) -> Bool {
        let (served, isDone) = state.withLock { state in
            state.sequence = max(state.sequence, sequence)
            let served = state.waiters.filter { $0.sequence <= sequence }
            state.waiters.removeAll { $0.sequence <= sequence }
            state.isUpdating = !state.waiters.isEmpty
            return (served, state.waiters.isEmpty)
        }
        for waiter in served { waiter.continuation.resume() }
        return isDone
    }

    /// Tells all who wait.
    private func fail(_ error: any Error) {
        let waiters = state.withLock { state in
            defer { state.waiters = [] }
            state.isUpdating = false
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume(throwing: error) }
    }

    // MARK: The rest

    /// What `_info` tells.
    func information(lastSequence: Int) async throws -> ViewIndexInformation {
        let header = try await file.read { try $0.header() }
        let (isUpdating, isCompacting, waiting) = state.withLock {
            ($0.isUpdating, $0.isCompacting, $0.waiters.count)
        }
        let active = header.trees.reduce(0) { $0 + $1.size }
        return ViewIndexInformation(
            signature: definitions.signature, language: definitions.language,
            sizes: (file: file.fileSize, active: active, external: active), isUpdating: isUpdating,
            isCompacting: isCompacting, waitingClients: waiting, updateSequence: header.sequence,
            updatesPending: max(0, lastSequence - header.sequence), collatorVersion: Collator.root.version)
    }

    /// Makes the file as small as its rows allow, between two passes. A second caller joins none: it returns at once.
    func compact() async throws {
        let isFirst = state.withLock { state in
            defer { state.isCompacting = true }
            return !state.isCompacting && !state.isClosed
        }
        guard isFirst else { return }
        let work = tasks.begin(.viewCompaction, design: designID, total: 0)
        try await withCheckedThrowingContinuation { continuation in
            queue.async { [self] in
                let result = Result {
                    work.update(done: 0, total: try file.readNow { try $0.header().trees.reduce(0) { $0 + $1.count } })
                    try file.compact()
                }
                work.end()
                state.withLock { $0.isCompacting = false }
                continuation.resume(with: result)
            }
        }
    }

    /// Stops a running pass after its next commit and closes the file. Who waits is told so.
    func close() async {
        let isFirst = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        guard isFirst else { return }
        // Queued behind a running pass. It waits for readers, and some of them may need the caller's thread to end.
        await withCheckedContinuation { continuation in
            queue.async { [self] in
                // What begins after this finds the index closed.
                thread.finishJobs()
                thread.stop()
                do { try file.close() } catch {
                    logger.warning(
                        "a view index did not close", metadata: ["file": "\(file.path)", "reason": "\(error)"])
                }
                continuation.resume()
            }
        }
    }
}
