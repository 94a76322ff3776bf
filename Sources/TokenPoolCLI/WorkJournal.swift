import Logging
import TokenPool
import TokenPoolWorker

/// With `work --log-documents` what a pilot does and logs, as log documents of the pool.
struct WorkJournal {
    private let log: PoolLog?
    /// What the pilot logs to: stderr, and the pool if asked for.
    let logger: Logger

    init(_ pool: Pool?, _ worker: WorkerIdentity, _ logger: Logger) {
        guard let pool else {
            log = nil
            self.logger = logger
            return
        }
        let log = PoolLog(database: pool.database, host: worker.hostname)
        self.log = log
        var both = Logger(label: "tokenpool.work") { label in
            MultiplexLogHandler([logger.handler, log.handler(label: label)])
        }
        both[metadataKey: "worker"] = "\(worker.name)"
        self.logger = both
    }

    /// Runs the pilot beside the writer, which has the last word.
    func run(_ work: () async throws -> Void) async throws {
        guard let log else { return try await work() }
        let writing = Task { try await log.run() }
        let result: Result<Void, any Error>
        do { result = .success(try await work()) } catch { result = .failure(error) }
        writing.cancel()
        do { try await writing.value } catch {
            // The work counts, not the talk of it.
            guard case .success = result else { return try result.get() }
            throw error
        }
        try result.get()
    }

    /// Notes what people see as events.
    func note(_ news: PilotNews) {
        guard let log else { return }
        var logger = Logger(label: "tokenpool.work") { log.handler(label: $0) }
        logger.logLevel = .info
        switch news {
        case .claimed, .waiting: break
        case .started(let id, _): logger.info("started", metadata: ["token": "\(id)"])
        case .ended(let id, let outcome, let code, let time, let retries):
            let metadata: Logger.Metadata = [
                "token": "\(id)", "outcome": "\(outcome.rawValue)", "exit_code": "\(code.map(String.init) ?? "")",
                "milliseconds": "\(time.wholeMilliseconds)", "retries": "\(retries)",
            ]
            if outcome == .done {
                logger.info("ended", metadata: metadata)
            } else {
                logger.warning("ended", metadata: metadata)
            }
        case .superseded(let id, _, let kept):
            logger.warning("superseded", metadata: ["token": "\(id)", "kept": "\(kept)"])
        case .released(let id): logger.notice("handed back", metadata: ["token": "\(id)"])
        case .swept(let report): logger.notice("\(report.words)")
        case .trouble(let text): logger.warning("\(text)")
        }
    }
}
