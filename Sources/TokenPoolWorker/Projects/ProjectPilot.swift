import CouchDocument
import DispatcherClient
import FoundationEssentials
import Synchronization
import TokenPool

/// Works on the files of a project: reserves one for each slot, runs a command for it, and says what became of it, until
/// the project is over or it is told to stop.
///
/// While commands run their reservations are renewed, where the server knows how. A pilot runs once.
package final class ProjectPilot: Sendable {
    let client: DispatcherClient
    let options: ProjectPilotOptions
    let tell: @Sendable (ProjectNews) -> Void
    let threads = BlockingThreads()
    let patience: Patience
    let clock = SystemClock()

    struct Shared {
        var runs: [Int: FileRun] = [:]
        /// How many times it was told to stop.
        var stops = 0
        /// What ends the work early.
        var failure: (any Error)?
        /// Whether a reservation may have been made whose answer was lost.
        var mayHoldMore = false
        /// Files that could not be given back.
        var left: [String] = []
        /// The request for a file that waits.
        var asking: Task<NextFile, any Error>?
        /// Tries in a row that failed, by slot.
        var failures: [Int: Int] = [:]
    }
    // Protects what the loop, the commands' tasks and signals touch.
    let shared = Mutex(Shared())

    package init(
        client: DispatcherClient, options: ProjectPilotOptions, report: @escaping @Sendable (ProjectNews) -> Void
    ) {
        self.client = client
        self.options = options
        tell = report
        patience = Patience(options.patience, grace: options.grace, SystemClock())
    }

    /// Asks it to end: no more files; commands get TERM, after the grace KILL; their files are given back. The second time
    /// commands are killed. Returns at once.
    package func stop() {
        let (runs, stops, asking) = shared.withLock { shared in
            shared.stops += 1
            return (Array(shared.runs.values), shared.stops, shared.asking)
        }
        patience.stop()
        for run in runs {
            run.end(because: .pilotEnds, grace: options.grace)
            if stops > 1 { run.kill() }
        }
        // What the server may give us in this moment is given back in the end.
        asking?.cancel()
    }

    var isStopping: Bool { shared.withLock { $0.stops > 0 || $0.failure != nil } }

    /// Works until the project is over, the stop condition is met or it is told to stop.
    ///
    /// - Throws: ``ProjectPilotError``, or the ``DispatcherError`` that kept it from working.
    package func run() async throws {
        let found = try await retrying {
            try await self.client.project(self.options.project, files: false, replicas: false)
        }
        guard let found else {
            throw ProjectPilotError(code: .noProject, description: "project \(options.project) not found")
        }
        let pulse = found["worker_timeout"]?.numberValue.map { seconds in
            Task { await self.beat(every: .milliseconds(Int(seconds * 1000 / 3))) }
        }
        await withTaskGroup(of: Int.self) { group in
            do { try await work(in: &group) } catch { end(with: error) }
            await group.waitForAll()
        }
        pulse?.cancel()
        await pulse?.value
        if shared.withLock({ $0.mayHoldMore }) { await giveBackUnknown() }
        let (failure, left) = shared.withLock { ($0.failure, $0.left) }
        if !left.isEmpty {
            let names = left.prefix(10).joined(separator: ", ")
            let text = "\(left.count) files stay reserved until their time is over: \(names)"
            if failure == nil { throw ProjectPilotError(code: .filesLeft, description: text) }
            tell(.trouble(text))
        }
        if let failure { throw failure }
    }

    /// Ends the work; commands that run come to their end.
    func end(with error: any Error) { shared.withLock { $0.failure = $0.failure ?? error } }

    private func work(in group: inout TaskGroup<Int>) async throws {
        let end = options.condition.maxTime.map { clock.now() + $0 }
        var free = Array((0..<options.slots).reversed())
        var taken = 0
        while !isStopping {
            if let end, clock.now() >= end { return }
            if let most = options.condition.maxTokens, taken >= most { return }
            guard let slot = free.popLast() else {
                if let ended = await group.next() { free.append(ended) }
                continue
            }
            switch try await ask() {
            case .over: return
            case .nothing: free.append(slot)
            case .file(let handle):
                taken += 1
                let run = FileRun(handle.did)
                let isLate = shared.withLock { shared in
                    shared.runs[slot] = run
                    return shared.stops > 0
                }
                if isLate { run.end(because: .pilotEnds, grace: options.grace) }
                group.addTask {
                    await self.process(FileCommand(handle, slot: slot, options: self.options), run, slot)
                    return slot
                }
            }
        }
    }

    /// Asks for a file, and waits a while for one.
    private func ask() async throws -> NextFile {
        if shared.withLock({ $0.mayHoldMore }) { await giveBackUnknown() }
        let wait = 20
        let begun = clock.now()
        let answer = try await retrying {
            let request = Task {
                try await self.client.next(
                    project: self.options.project, worker: self.options.worker, site: self.options.site, wait: wait)
            }
            let isLate = self.shared.withLock { shared in
                shared.asking = request
                return shared.stops > 0
            }
            if isLate { request.cancel() }
            defer { self.shared.withLock { $0.asking = nil } }
            do { return try await request.value } catch let error as DispatcherError {
                if error.code == .interrupted || error.code == .cancelled {
                    self.shared.withLock { $0.mayHoldMore = true }
                }
                if error.code == .cancelled { return .nothing }
                if error.code == .notFound {
                    throw ProjectPilotError(
                        code: .noProject, description: "project \(self.options.project) not found")
                }
                throw error
            }
        }
        if case .nothing = answer, clock.now() - begun < .seconds(wait) * 0.9, !isStopping {
            // A server that does not wait.
            try await patience.pause(.seconds(1))
        }
        return answer
    }

    /// Tries again while the server is not heard of, as long as patience lasts.
    func retrying<Value: Sendable>(_ work: @Sendable () async throws -> Value) async throws -> Value {
        let start = clock.now()
        var pause = Duration.milliseconds(100)
        var isTold = false
        while true {
            do { return try await work() } catch let error as DispatcherError
                where error.isPassing && patience.allowsRetry(since: start)
            {
                if !isTold { tell(.trouble("\(error); trying again")) }
                isTold = true
                try await patience.pause(pause)
                pause = min(pause * 2, .seconds(10))
            }
        }
    }
}
