public import CouchDB
import CouchDocument
public import Logging
import Synchronization

/// Writes what a program logs into the pool, as documents that people see with `tokenpool pool log` and PiCaS' users know.
///
/// Whoever logs never waits: lines gather in memory and go in one request, once a second and whenever there are many. When
/// the server does not answer they wait, up to ``capacity``; what is more is dropped, and a line says how many.
///
/// ```swift
/// let log = PoolLog(database: database, host: "node7")
/// let logger = Logger(label: "my program") { log.handler(label: $0) }
/// let writing = Task { try await log.run() }
/// logger.warning("the disk is nearly full", metadata: ["free": "2%"])
/// writing.cancel()   // what was logged until then is written
/// try await writing.value
/// ```
public final class PoolLog: Sendable {
    /// The database that the lines go to.
    public let database: Database
    /// The machine's name, for `host`.
    public let host: String
    /// Lines that wait at most.
    public let capacity: Int
    /// How long lines gather before they are written.
    public let interval: Duration
    private let clock: any PoolClock
    /// PiCaS' `trance_nr`: tells the runs of programs on one machine apart.
    private let trace = Int.random(in: 0..<100_000)

    private struct State {
        var waiting: [LogDocument] = []
        var dropped = 0
        var count = 0
        var isOver = false
    }
    // Protects the lines that wait; any thread may log.
    private let state = Mutex(State())
    private let arrivals: AsyncStream<Void>
    private let bell: AsyncStream<Void>.Continuation

    /// What the writer itself logs (its client's requests) would be written for ever.
    @TaskLocal private static var isWriting = false

    /// A log into that database. Nothing is written before ``run()``.
    public init(
        database: Database, host: String, capacity: Int = 10_000, interval: Duration = .seconds(1),
        clock: any PoolClock = SystemClock()
    ) {
        self.database = database
        self.host = host
        self.capacity = capacity
        self.interval = interval
        self.clock = clock
        (arrivals, bell) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// What to make a logger of: `Logger(label: "x") { log.handler(label: $0) }`.
    public func handler(label: String, level: Logger.Level = .info) -> PoolLogHandler {
        PoolLogHandler(log: self, label: label, logLevel: level)
    }

    /// Lines that wait to be written.
    public var waiting: Int { state.withLock(\.waiting.count) }

    func take(_ event: LogEvent, label: String, metadata: Logger.Metadata) {
        if Self.isWriting { return }
        let now = clock.now()
        let isFull = state.withLock { state in
            if state.isOver { return false }
            guard state.waiting.count < capacity else {
                state.dropped += 1
                return false
            }
            state.count += 1
            // PiCaS' id is host and second, so its second line in a second is refused.
            let id = "\(host):\(now.seconds):\(trace):\(state.count)"
            state.waiting.append(
                LogDocument(
                    id: id, event: event, label: label, metadata: metadata, host: host, trace: trace, at: now))
            return state.waiting.count == 1 || state.waiting.count == Self.batch
        }
        if isFull { bell.yield() }
    }

    private static let batch = 200

    /// Writes until the task is cancelled, then what is left.
    ///
    /// A server that does not answer is tried again and again; after the cancellation once more.
    ///
    /// - Throws: What will not get better: no such database, not allowed. Nothing is kept after that.
    public func run() async throws {
        defer {
            state.withLock { state in
                state.isOver = true
                state.waiting = []
            }
        }
        do {
            var pause = interval
            for await _ in arrivals {
                try await gather()
                while waiting > 0 {
                    do {
                        try await flush()
                        pause = interval
                    } catch let error as CouchDBError where error.isUncertain || error.code == .tooManyRequests {
                        try await Task.sleep(for: pause)
                        pause = min(pause * 2, .seconds(30))
                    }
                }
            }
        } catch is CancellationError {
        } catch CouchDBError.cancelled {
        }
        // The cancelled task could not send any more.
        try await Task { try await self.flush() }.value
    }

    /// Lets lines come together, unless there are many already.
    private func gather() async throws {
        guard waiting < Self.batch else { return }
        try await Task.sleep(for: interval)
    }

    /// Writes what waits now.
    ///
    /// - Throws: What the server said, also when it is that nobody may write lines here; the lines wait on.
    public func flush() async throws {
        while true {
            let (lines, dropped) = state.withLock { ($0.waiting.prefix(Self.batch), $0.dropped) }
            guard !lines.isEmpty else { return }
            let outcomes = try await Self.$isWriting.withValue(true) {
                try await database.bulkSave(lines.map(\.document))
            }
            var refused = 0
            for outcome in outcomes {
                guard let error = outcome.error else { continue }
                if error.isUncertain { throw error }
                // A conflict is a line that a request wrote whose answer was lost.
                if error.code == .conflict { continue }
                refused += 1
                if refused == lines.count, error.code == .forbidden || error.code == .unauthorized { throw error }
            }
            state.withLock { state in
                // Unless another flush was faster.
                guard state.waiting.first?.document.id == lines.first?.document.id else { return }
                state.waiting.removeFirst(lines.count)
                state.dropped += refused
            }
            // Told behind what was taken: a server that takes nothing would refuse that line, too, and the next one.
            let lost = refused < lines.count ? dropped + refused : 0
            if lost > 0 {
                state.withLock { $0.dropped -= lost }
                take(
                    LogEvent(
                        level: .warning,
                        message: "\(lost) lines of this log were dropped: the server did not answer or refused them",
                        metadata: nil, source: "TokenPool", file: #fileID, function: #function, line: #line),
                    label: "tokenpool", metadata: [:])
            }
        }
    }
}

/// Hands lines to a ``PoolLog``.
public struct PoolLogHandler: LogHandler {
    let log: PoolLog
    /// The logger's label.
    public let label: String
    /// Lines below it are not written.
    public var logLevel: Logger.Level
    /// Goes with every line.
    public var metadata: Logger.Metadata = [:]
    /// Adds metadata that only the moment knows.
    public var metadataProvider: Logger.MetadataProvider?

    init(log: PoolLog, label: String, logLevel: Logger.Level) {
        self.log = log
        self.label = label
        self.logLevel = logLevel
    }

    /// A value that goes with every line.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Takes a line; never waits.
    public func log(event: LogEvent) {
        var all = metadata
        if let metadataProvider { all.merge(metadataProvider.get()) { _, new in new } }
        if let more = event.metadata { all.merge(more) { _, new in new } }
        log.take(event, label: label, metadata: all)
    }
}
