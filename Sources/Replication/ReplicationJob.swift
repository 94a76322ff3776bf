import CouchDocument

/// The life of one replication between its runs: what happened, and when it is tried again. A value; who holds it acts.
struct ReplicationJob: Sendable {
    /// Where it comes from.
    enum Origin: Hashable, Sendable {
        /// `POST /_replicate`.
        case request
        case document(ReplicatorDocument)
    }

    /// In the words of `_scheduler/docs`.
    enum State: String, Sendable {
        case initializing, pending, running, crashing, completed, failed
    }

    enum Event: Sendable {
        case started
        /// Told to make room for others, for a while.
        case stopped
        /// A run ended with an error after it had lasted so long.
        case crashed(ReplicationError, after: Duration)
        case completed
        case failed(ReplicationError)
    }

    /// What is to be done now.
    enum Action: Equatable, Sendable {
        case none
        case retry(after: Duration)
    }

    struct HistoryEntry: Sendable {
        let time: UTCTime
        let type: String
        let reason: String?
    }

    /// Whose shares it has: the database of its document, or who asked.
    var owner: String {
        switch origin {
        case .request: account.name ?? ""
        case .document(let place): place.database
        }
    }

    /// With what follows the base: `…+continuous`.
    let name: String
    let request: ReplicationRequest
    let origin: Origin
    let account: ReplicationAccount
    let added: UTCTime
    private(set) var state = State.pending
    /// Runs that ended with an error, in a row.
    private(set) var errorCount = 0
    private(set) var lastError: ReplicationError?
    private(set) var updated: UTCTime
    /// The newest first.
    private(set) var history: [HistoryEntry]

    init(
        name: String, request: ReplicationRequest, origin: Origin, account: ReplicationAccount, at time: UTCTime
    ) {
        self.name = name
        self.request = request
        self.origin = origin
        self.account = account
        added = time
        updated = time
        history = [HistoryEntry(time: time, type: "added", reason: nil)]
    }

    mutating func handle(_ event: Event, at time: UTCTime, _ schedule: ReplicationSchedule) -> Action {
        updated = time
        defer { history.removeLast(max(0, history.count - schedule.longestHistory)) }
        switch event {
        case .started:
            state = .running
            note("started", nil, time)
            return .none
        case .stopped:
            // It was well until then, as CouchDB sees it.
            (errorCount, lastError) = (0, nil)
            state = .pending
            note("stopped", nil, time)
            return .none
        case .completed:
            state = .completed
            (errorCount, lastError) = (0, nil)
            return .none
        case .failed(let error):
            state = .failed
            errorCount += 1
            lastError = error
            note("crashed", error.description, time)
            return .none
        case .crashed(let error, let duration):
            errorCount = duration > schedule.retry.health ? 0 : errorCount + 1
            lastError = error
            state = .crashing
            note("crashed", error.description, time)
            return .retry(after: schedule.retry.pause(after: errorCount))
        }
    }

    private mutating func note(_ type: String, _ reason: String?, _ time: UTCTime) {
        history.insert(HistoryEntry(time: time, type: type, reason: reason), at: 0)
    }
}
