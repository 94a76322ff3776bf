import CouchDB
import CouchDocument
import Crypto
import Logging

/// Replicates for this server: what `POST /_replicate` asks for, and what the documents in `_replicator` and its like
/// say.
///
/// It is a client like any other: it meets the databases of this server, too, over HTTP. One job is one replication; two
/// that ask for the same share it.
package actor Replicator {
    /// A job, and what belongs to it between its runs.
    struct Running {
        var job: ReplicationJob
        var progress: ReplicationProgress
        /// When it was started last: a count of all starts, and the time.
        var lastStart = 0
        var startedAt = Duration.zero
        /// Ends the pause after an error.
        var alarm: Task<Void, Never>?
        /// Those who wait for the end of a single pass.
        var waiters: [CheckedContinuation<JSONObject, any Error>] = []
    }

    let nodeName: String
    let logger: Logger
    let time: ReplicationTime
    var jobs: [String: Running] = [:]
    /// The runs under way, by their jobs' names. A run that was cancelled stands here until it has ended.
    private var runs: [String: Task<Void, Never>] = [:]
    /// The jobs that could run.
    private var waiting: Set<String> = []
    private var startCount = 0
    private var shares = ReplicationShares()
    /// The name of the job of each document.
    var documentJobs: [ReplicatorDocument: String] = [:]
    /// What a document asked for, to know whether a change of it is one.
    var documentFields: [ReplicatorDocument: JSONObject] = [:]
    /// How often in a row it could not even be told what a document asks for.
    var documentErrors: [ReplicatorDocument: Int] = [:]
    private var access: LocalAccess?
    private var isStopping = false

    package init(nodeName: String, logger: Logger, time: ReplicationTime) {
        self.nodeName = nodeName
        self.logger = logger
        self.time = time
    }

    var now: UTCTime { UTCTime(seconds: time.wall()) }

    /// Says how this server is reached, once it is.
    package func begin(_ access: LocalAccess) { self.access = access }

    func localAccess() throws -> LocalAccess {
        guard let access, !isStopping else {
            throw ReplicationError("service_unavailable", "the server is starting or stopping")
        }
        return access
    }

    // MARK: What is asked

    /// What became of a request.
    package enum Outcome: Sendable {
        /// A single pass is through: the members of the answer.
        case finished(JSONObject)
        /// A continuous one goes on under this id.
        case started(id: String)
        case cancelled(id: String)
        /// To be cancelled, but not there.
        case unknown
    }

    /// Carries out the body of `POST /_replicate`.
    package func replicate(_ body: JSON, for account: ReplicationAccount) async throws -> Outcome {
        if body["cancel"] == true { return try await cancel(body, for: account) }
        let request = try ReplicationRequest(body)
        let name = try await self.name(of: request, account: account)
        if jobs[name] == nil { add(name, request, .request, account) }
        if request.isContinuous { return .started(id: name) }
        // Whoever asked may go away: the pass goes on to its checkpoint, as in CouchDB.
        return .finished(
            try await withCheckedThrowingContinuation { continuation in
                guard jobs[name] != nil else {
                    continuation.resume(throwing: ReplicationError("cancelled", "it was cancelled"))
                    return
                }
                jobs[name]?.waiters.append(continuation)
            })
    }

    private func cancel(_ body: JSON, for account: ReplicationAccount) async throws -> Outcome {
        let name: String
        if let id = body["replication_id"]?.stringValue ?? body["_local_id"]?.stringValue ?? body["id"]?.stringValue {
            // CouchDB's clients leave out the `+continuous` or keep it, as their proxies do with the plus sign.
            let wanted = id.replacing(" ", with: "+")
            name = jobs.keys.first { $0 == wanted || $0.prefix { $0 != "+" } == wanted[...] } ?? wanted
        } else {
            name = try await self.name(of: try ReplicationRequest(body), account: account)
        }
        guard let running = jobs[name], running.job.origin == .request else { return .unknown }
        guard account.isAdmin || running.job.account.name == account.name else {
            throw ReplicationError("unauthorized", "this replication was started by another user")
        }
        await remove(name)
        return .cancelled(id: name)
    }

    /// The name of the job: the id of the replication, and what it is told besides.
    func name(of request: ReplicationRequest, account: ReplicationAccount) async throws -> String {
        let access = try localAccess()
        var text: String?
        if let function = request.filterFunction {
            let source = try request.source.open(access, as: account, stall: request.stall, logger: logger)
            do {
                let design = try await source.documentIfPresent("_design/" + function.design)
                text = design?["filters"]?[function.name]?.stringValue
                await source.server.shutdown()
            } catch {
                await source.server.shutdown()
                throw ReplicationError(
                    "filter_fetch_error", "could not fetch filter \(function.design)/\(function.name): \(error)")
            }
            guard text != nil else {
                throw ReplicationError(
                    "filter_fetch_error", "the source has no filter \(function.design)/\(function.name)")
            }
        }
        return request.baseID(uuid: access.uuid, filterText: text) + request.idSuffix
    }

    // MARK: Jobs

    func add(
        _ name: String, _ request: ReplicationRequest, _ origin: ReplicationJob.Origin, _ account: ReplicationAccount
    ) {
        let job = ReplicationJob(name: name, request: request, origin: origin, account: account, at: now)
        jobs[name] = Running(job: job, progress: ReplicationProgress(clock: time.wall))
        shares.add(name, of: job.owner, schedule.shares)
        waiting.insert(name)
        startWaiting()
    }

    /// Ends a job: its last checkpoint is written before it is gone.
    func remove(_ name: String) async {
        guard let running = takeOut(name) else { return }
        waiting.remove(name)
        running.alarm?.cancel()
        let run = runs[name]
        run?.cancel()
        await run?.value
        for waiter in running.waiters { waiter.resume(throwing: ReplicationError("cancelled", "it was cancelled")) }
    }

    /// The job goes; what a run that is cut off took stays with its owner.
    private func takeOut(_ name: String) -> Running? {
        guard let running = jobs.removeValue(forKey: name) else { return nil }
        if running.job.state == .running { charge(running) }
        shares.remove(name, of: running.job.owner)
        return running
    }

    /// Ends all jobs; what comes later is refused.
    package func stop() async {
        isStopping = true
        await withTaskGroup(of: Void.self) { group in
            for name in jobs.keys { group.addTask { await self.remove(name) } }
        }
    }

    // MARK: Who runs

    /// How the server is set now.
    var schedule: ReplicationSchedule { access?.schedule() ?? ReplicationSchedule() }

    /// Rotates the jobs in every interval until the task is cancelled.
    package func rotate() async {
        while !Task.isCancelled {
            // Cancelled meanwhile: the loop's condition ends it.
            try? await time.sleep(schedule.interval)
            await makeRoom()
        }
    }

    /// Charges at most one interval, the one that ends or is cut off now.
    private func charge(_ running: Running) {
        shares.charge(running.job.owner, min(time.uptime() - running.startedAt, schedule.interval))
    }

    private func makeRoom() async {
        let schedule = schedule
        let current = runs.keys.compactMap { jobs[$0] }.filter { $0.job.state == .running }
        for running in current { charge(running) }
        shares.endInterval(running: current.map { ($0.job.name, $0.job.owner) }, schedule.shares)
        let running = runs.keys.compactMap { candidate($0) }
        let stopped = schedule.stops(running: running, waiting: waiting.count).compactMap { name in
            runs[name].map { (name, $0) }
        }
        for (name, run) in stopped {
            handle(.stopped, name)
            run.cancel()
        }
        for (_, run) in stopped { await run.value }
        startWaiting()
    }

    private func candidate(_ name: String) -> ReplicationSchedule.Candidate? {
        jobs[name].map { running in
            ReplicationSchedule.Candidate(
                name: name, isContinuous: running.job.request.isContinuous, priority: shares.priority(of: name),
                lastStart: running.lastStart)
        }
    }

    /// Gives the free places to those who wait.
    private func startWaiting() {
        let schedule = schedule
        guard !waiting.isEmpty, runs.count < schedule.mostJobs, !isStopping else { return }
        // An earlier run of the same name may be at its last checkpoint: its end comes here again.
        let ready = waiting.filter { runs[$0] == nil }.compactMap { candidate($0) }
        for name in schedule.starts(waiting: ready, running: runs.count) {
            waiting.remove(name)
            startCount += 1
            jobs[name]?.lastStart = startCount
            jobs[name]?.startedAt = time.uptime()
            handle(.started, name)
            runs[name] = Task { await self.carryOut(name) }
        }
    }

    /// One run of a job, and what follows from its end.
    private func carryOut(_ name: String) async {
        guard let running = jobs[name] else {
            runs[name] = nil
            return
        }
        let start = time.uptime()
        let result: Result<JSONObject, any Error>
        do {
            result = .success(try await run(running))
        } catch {
            result = .failure(error)
        }
        runs[name] = nil
        if Task.isCancelled {
            // Removed, or told to make room: then it waits for its next turn.
            if jobs[name] != nil { waiting.insert(name) }
        } else {
            if let running = jobs[name] { charge(running) }
            await conclude(name, result, after: time.uptime() - start)
        }
        startWaiting()
    }

    private func conclude(_ name: String, _ result: Result<JSONObject, any Error>, after duration: Duration) async {
        do {
            await finish(name, .success(try result.get()))
        } catch {
            let failure = Self.failure(error)
            guard let job = jobs[name]?.job else { return }
            // A single pass that somebody waits for is told at once; everything else is tried again.
            if failure.isFinal || job.origin == .request && !job.request.isContinuous {
                handle(.failed(failure), name)
                await finish(name, .failure(failure))
                return
            }
            guard case .retry(let pause)? = handle(.crashed(failure, after: duration), name) else { return }
            logger.notice(
                "replication crashed",
                metadata: ["replication": "\(name)", "reason": "\(failure)", "again in": "\(pause)"])
            jobs[name]?.alarm = Task {
                // Cancelled when the job is removed.
                do { try await time.sleep(pause) } catch { return }
                waiting.insert(name)
                startWaiting()
            }
        }
    }

    @discardableResult
    private func handle(_ event: ReplicationJob.Event, _ name: String) -> ReplicationJob.Action? {
        jobs[name]?.job.handle(event, at: now, schedule)
    }

    private func run(_ running: Running) async throws -> JSONObject {
        let access = try localAccess()
        let job = running.job
        let source = try job.request.source.open(access, as: job.account, stall: job.request.stall, logger: logger)
        let target = try job.request.target.open(access, as: job.account, stall: job.request.stall, logger: logger)
        let run = ReplicationRun(
            request: job.request, id: String(job.name.prefix { $0 != "+" }), source: source, target: target,
            progress: running.progress, logger: logger)
        let result: Result<JSONObject, any Error>
        do {
            result = .success(try await run.run())
        } catch {
            result = .failure(error)
        }
        await source.server.shutdown()
        await target.server.shutdown()
        return try result.get()
    }

    private func finish(_ name: String, _ result: Result<JSONObject, ReplicationError>) async {
        if case .success = result { handle(.completed, name) }
        guard let running = takeOut(name) else { return }
        for waiter in running.waiters { waiter.resume(with: result.mapError { $0 as any Error }) }
        if case .document(let place) = running.job.origin {
            documentJobs[place] = nil
            await tell(place, of: running, result)
        }
    }

    /// What went wrong, for people: never a secret, for the client's errors have none.
    static func failure(_ error: any Error) -> ReplicationError {
        switch error {
        case let error as ReplicationError: error
        case let error as CouchDBError:
            ReplicationError(error.error ?? Self.word(error.code), "\(error.attempted): \(error.reason)")
        default: ReplicationError("internal_server_error", "\(error)")
        }
    }

    private static func word(_ code: CouchDBError.Code) -> String {
        switch code {
        case .unreachable: "econnrefused"
        case .timedOut: "timeout"
        case .tls: "tls_alert"
        case .interrupted: "connection_closed"
        default: "replication_failed"
        }
    }
}
