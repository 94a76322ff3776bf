import CouchDB
public import Logging
public import ServiceLifecycle
import Synchronization
public import TokenPool

/// Claims tokens, runs them in their sandboxes, and reports what came of them.
///
/// Ends when its ``StopCondition`` says so, or when it is told to: by ``stop()``, or as a service by graceful shutdown.
/// Then it claims no more, ends the commands that run (TERM, after a grace KILL), attaches their outputs so far, and hands
/// the tokens back; so does a cancelled task.
///
/// A pilot runs once.
public final class Pilot: Service {
    /// Where it takes tokens from.
    public let pool: Pool
    /// Its name in leases.
    public let identity: WorkerIdentity
    let options: PilotOptions
    let logger: Logger
    let tell: @Sendable (PilotNews) -> Void
    let events: AsyncStream<PilotState.Event>
    let inbox: AsyncStream<PilotState.Event>.Continuation

    /// What the tasks of a pilot share.
    struct Shared {
        var controls: [String: RunControl] = [:]
        var slots: Set<Int> = []
        /// Reports on their way, by lease.
        var reports: [String: Task<Void, Never>] = [:]
        /// Whether reports that come now are to fail at once: there is no time left.
        var isAbandoned = false
        var window: ClaimWindow
        var chooser: QueueChooser
        /// What tokens that ended took, not yet told to the chooser.
        var lengths: [(set: String, time: Duration)] = []
        var source: ClaimSource
        var failure: (any Error)?
        var hadContact = false
        var lastContact: Timestamp
        var armedWake: Timestamp?
        var isWatching = false
        /// Whether the last claim found the pool empty.
        var isIdle = false
        var hasToldWaiting = false
        var watch: Task<Void, Never>?
        /// Whether tokens wait for others, as last seen.
        var hasDependents = false
        var dependentsCursor: String?
        /// What was done and may be waited for; not yet looked up.
        var finished: Set<String> = []
        var isFreeing = false
        var troubles: Set<String> = []
        /// Claims that were neither reported nor handed back nor lost yet, by lease.
        var open: [String: ClaimedToken] = [:]
        var lastReportFailure: (any Error)?
        /// What claiming failed with last, and when that was told.
        var lastFailure: (text: String, told: Timestamp)?
    }
    // Protects what the loop and the tasks that it starts both touch.
    let shared: Mutex<Shared>
    let patience: Patience
    let threads = BlockingThreads()
    let ready = ReadyRuns()

    /// A pilot that has not begun.
    ///
    /// - Parameter report: Hears of what happens, from any thread, in order for each token.
    public init(
        pool: Pool, options: PilotOptions, identity: WorkerIdentity, logger: Logger = Logger(label: "tokenpool.worker"),
        report: @escaping @Sendable (PilotNews) -> Void = { _ in }
    ) {
        self.pool = pool
        self.options = options
        self.identity = identity
        self.logger = logger
        tell = report
        (events, inbox) = AsyncStream.makeStream()
        patience = Patience(options.patience, grace: options.grace, pool.clock)
        let sets = options.source.queues ?? []
        shared = Mutex(
            Shared(
                window: ClaimWindow(order: options.source.order),
                chooser: QueueChooser(sets: sets.isEmpty ? nil : Set(sets), order: options.source.choosing),
                source: options.source,
                lastContact: pool.clock.now()))
    }

    /// Asks it to end: softly the first time, at once the second time. Returns immediately.
    ///
    /// Softly: what its commands left is written before their tokens are handed back, and when the server is not heard of,
    /// that is tried for the grace. At once: commands are killed, and after three seconds whatever is not written yet is
    /// left to its lease.
    public func stop() { inbox.yield(.stop) }

    /// Works until the stop condition is met or it is told to stop.
    ///
    /// A server that is not heard of is waited for, also at the beginning; see ``PilotOptions/patience``.
    ///
    /// - Throws: What kept it from working: no such database or view, not allowed, server not reached in time. And
    ///   ``TokensLeft`` when tokens stay locked until their leases end, because they could not be handed back.
    public func run() async throws {
        // Shielded from the caller's cancellation, under which it could not hand tokens back. A pilot mostly waits for
        // answers and for commands: beside its transfers, on one thread, that costs the fewest changes of thread.
        let work = Task { try await self.pool.database.server.onTransportThread { try await self.work() } }
        try await withTaskCancellationHandler {
            try await withGracefulShutdownHandler {
                try await work.value
            } onGracefulShutdown: {
                self.stop()
            }
        } onCancel: {
            self.stop()
        }
    }

    /// What tokens are measured against, when they come from queues.
    private var offer: Offer? {
        options.source.queues == nil ? nil : options.offer ?? Offer(cores: options.slots)
    }

    private func work() async throws {
        let clock = pool.clock
        let runner = try TokenRunner(pool: pool, options: options, threads: threads)
        let writer = ResultWriter(pool: pool, patience: patience)
        let reporter = Reporter(pool: pool, writer: writer, lease: options.lease, patience: patience, threads: threads)
        let crew = Crew(
            runner: runner, reporter: reporter, cleaner: FolderCleaner(threads, logs: runner.logs, trouble: trouble))
        var state = PilotState(
            slots: options.slots, lease: options.lease, grace: options.grace, timeLimit: options.timeLimit,
            condition: options.condition, started: clock.now(), offer: offer, jitter: Double.random(in: 0.5...1.5))
        let heartbeat = Heartbeat(
            pool: pool, identity: identity, slots: options.slots, offer: offer, started: clock.now(),
            trust: max(options.lease, .seconds(60)))
        await withTaskGroup(of: Void.self) { group in
            // Only a pilot that reached its server is a worker that others may see.
            var pulse: Task<Void, Never>?
            // Whether tokens wait for others must be known before the first one ends.
            group.addTask { await self.beginDependents() }
            inbox.yield(.tick)
            loop: for await event in events {
                let now = clock.now()
                if case .stop = event { patience.stop() }
                for action in state.handle(event, now: now) {
                    switch action {
                    case .finish: break loop
                    case .abandon:
                        await writer.abandon()
                        abandonReports()
                    case .claim(let count):
                        let (left, ahead) = (state.left(now), state.ahead(of: count))
                        group.addTask { await self.claim(count, left, ahead: ahead, taking: writer.riders) }
                    default: perform(action, crew, in: &group)
                    }
                }
                heartbeat.note(state.runningTokens.map(\.token.id))
                if pulse == nil, shared.withLock({ $0.hadContact }) {
                    pulse = Task { await heartbeat.beat(every: options.lease / 3, trouble: self.trouble) }
                }
                arm(state.nextWake(now: now), now, in: &group)
            }
            group.cancelAll()
            pulse?.cancel()
            let watch = shared.withLock { $0.watch }
            watch?.cancel()
            await pulse?.value
            await watch?.value
            await group.waitForAll()
        }
        for report in shared.withLock({ Array($0.reports.values) }) { await report.value }
        await crew.cleaner.finish()
        await threads.perform { runner.logs.close() }
        await heartbeat.end(patience, trouble: trouble)
        try conclude()
    }

    /// Says what did not go as it should.
    private func conclude() throws {
        let (failure, open, last) = shared.withLock { ($0.failure, $0.open.values.map { $0 }, $0.lastReportFailure) }
        let left = open.isEmpty ? nil : TokensLeft(open, cause: last)
        if let failure {
            if let left { trouble("\(left)") }
            throw failure
        }
        if let left { throw left }
    }

    /// Sees to it that the state is asked again at that moment.
    private func arm(_ wake: Timestamp, _ now: Timestamp, in group: inout TaskGroup<Void>) {
        let isNeeded = shared.withLock { shared in
            if let armed = shared.armedWake, armed <= wake, armed > now { return false }
            shared.armedWake = wake
            return true
        }
        guard isNeeded else { return }
        group.addTask {
            do {
                try await Task.sleep(for: max(wake - now, .milliseconds(1)))
            } catch {
                return  // The pilot is over.
            }
            let controls = self.shared.withLock { shared in
                if shared.armedWake == wake { shared.armedWake = nil }
                return shared.controls.values.map { $0 }
            }
            for control in controls { control.trimLogs() }
            self.inbox.yield(.tick)
        }
    }

    /// Notes why a claim could not be brought to its end; what is only cut short tells no cause.
    func noteLeft(because error: any Error) {
        if error is CancellationError || CouchDBError.cancelled ~= error { return }
        shared.withLock { $0.lastReportFailure = error }
    }

    /// Notes that these claims came to an end in the database.
    func settle(_ leases: [String]) { shared.withLock { for lease in leases { $0.open[lease] = nil } } }

    func noteContact() {
        let now = pool.clock.now()
        shared.withLock { shared in
            shared.hadContact = true
            shared.lastContact = now
        }
    }

    @Sendable func trouble(_ text: String) {
        logger.debug("trouble", metadata: ["what": "\(text)"])
        tell(.trouble(text))
    }
}
