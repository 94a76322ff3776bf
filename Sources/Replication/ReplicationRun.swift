import CouchDB
import CouchDocument
import Logging

/// One run of a replication: from the last checkpoint to the end of the source's changes, or on and on.
///
/// It speaks CouchDB's replication protocol to both sides and keeps nothing of its own: what it knows stands in the
/// `_local` documents of the two databases, so whoever starts it again goes on where it stopped.
struct ReplicationRun: Sendable {
    let request: ReplicationRequest
    let id: String
    let source: Database
    let target: Database
    let progress: ReplicationProgress
    let logger: Logger

    /// How often it is remembered how far it came, unless the request says.
    private static let checkpointInterval = Duration.seconds(5)
    /// How long an idle source is waited for at a time.
    private static let patience = Duration.seconds(30)

    /// What changes while it runs.
    private struct Course {
        var log: CheckpointLog
        let session: Checkpoint.Session
        var since: String?
        var lastCheckpoint = ContinuousClock.now
    }

    /// Runs to the end, or until the task is cancelled when it is continuous.
    ///
    /// - Returns: The members of the answer to `POST /_replicate`.
    func run() async throws -> JSONObject {
        let births = try await openBoth()
        let log = try await CheckpointLog.read(id, source: source, target: target, isKept: request.usesCheckpoints)
        let start = log.checkpoint.since ?? request.since
        let earlier = ReplicationStatistics(historyEntry: log.checkpoint.history.first)
        progress.update {
            $0.statistics = earlier
            $0.through = start
            $0.source = start
            $0.checkpointed = log.checkpoint.since
        }
        var course = Course(
            log: log,
            session: Checkpoint.Session(id: Self.newSessionID(), started: progress.now, startSequence: start),
            since: start)
        do {
            try await copyAll(&course, births: births)
        } catch {
            // Stopped in order: what was copied is remembered. After a failure it was not all copied that was read.
            if Task.isCancelled { await rememberLast(course, births: births) }
            throw error
        }
        if course.since == start || Self.isBeginning(course.since) && start == nil {
            return Self.answer(log.storedMembers(start), hasChanges: false)
        }
        let members = try await remember(&course, births: births)
        return Self.answer(members, hasChanges: true)
    }

    private static func answer(_ members: JSONObject, hasChanges: Bool) -> JSONObject {
        var answer: JSONObject = ["ok": true]
        if !hasChanges { answer["no_changes"] = true }
        answer.merge(members)
        return answer
    }

    private static func isBeginning(_ sequence: String?) -> Bool {
        sequence.map { $0 == "0" || $0.hasPrefix("0-") } ?? true
    }

    private static func newSessionID() -> String { hexadecimal((0..<16).map { _ in UInt8.random(in: 0...255) }) }

    // MARK: Both sides

    /// When the two databases were made; another time means that they are others now.
    struct Births: Equatable, Sendable {
        let source: JSON?
        let target: JSON?
    }

    private func openBoth() async throws -> Births {
        let sourceBirth = try await birth(of: source, at: request.source)
        do {
            return Births(source: sourceBirth, target: try await birth(of: target, at: request.target))
        } catch let error as ReplicationError where error.word == "db_not_found" && request.createsTarget {
            do {
                _ = try await target.server.request(
                    "PUT", "/" + target.name.percentEncodedSegment, query: request.creation)
            } catch CouchDBError.preconditionFailed {
                // Somebody else made it meanwhile.
            } catch let error as CouchDBError where [.unauthorized, .forbidden].contains(error.code) {
                throw ReplicationError(
                    "unauthorized", "unauthorized to access or create database \(request.target.placeText)")
            }
            return Births(source: sourceBirth, target: try await birth(of: target, at: request.target))
        }
    }

    private func birth(of database: Database, at endpoint: Endpoint) async throws -> JSON? {
        do {
            return try await database.information()["instance_start_time"]
        } catch let error as CouchDBError {
            switch error.code {
            case .notFound: throw ReplicationError("db_not_found", "could not open \(endpoint.placeText)")
            case .unauthorized, .forbidden:
                throw ReplicationError("unauthorized", "unauthorized to access database \(endpoint.placeText)")
            default: throw error
            }
        }
    }

    // MARK: Copying

    private func copyAll(_ course: inout Course, births: Births) async throws {
        let copier = DocumentCopier(source: source, target: target, progress: progress, logger: logger)
        var isCaughtUp = false
        while true {
            try Task.checkCancellation()
            let page = try await changes(after: course.since, waiting: isCaughtUp)
            progress.update {
                $0.source = page.lastSequence
                $0.pending = page.pending
            }
            try await copier.copy(page.results)
            course.since = page.lastSequence
            progress.update { $0.through = page.lastSequence }
            isCaughtUp = page.results.count < request.batchSize
            if isCaughtUp && !request.isContinuous { return }
            let interval = request.checkpointInterval ?? Self.checkpointInterval
            let isDue = ContinuousClock.now - course.lastCheckpoint >= interval
            // Before an idle source is waited for, all is remembered: nothing may come for days.
            if isDue || isCaughtUp && !page.results.isEmpty { try await remember(&course, births: births) }
        }
    }

    private func changes(after since: String?, waiting: Bool) async throws -> ChangesPage {
        var query = ChangesQuery()
        query.since = since
        query.allLeaves = !request.isWinnersOnly
        query.limit = request.batchSize
        query.filter = request.filter
        return try await waiting ? source.changes(query, waiting: Self.patience) : source.changes(query)
    }

    // MARK: Remembering

    @discardableResult
    private func remember(_ course: inout Course, births: Births) async throws -> JSONObject {
        course.lastCheckpoint = .now
        let members = course.log.checkpoint.members(
            course.session, until: course.since, at: progress.now, progress.current.statistics,
            isByDocumentIDs: { if case .documentIDs = request.filter { true } else { false } }())
        guard request.usesCheckpoints else { return members }
        // A checkpoint of a database that was deleted and made again would hide everything before it.
        try await target.ensureFullCommit()
        let now = Births(
            source: try await birth(of: source, at: request.source),
            target: try await birth(of: target, at: request.target))
        guard now == births else {
            throw ReplicationError(
                "checkpoint_commit_failure", "a database was deleted and made again while it was replicated")
        }
        try await course.log.write(members, source: source, target: target)
        let since = course.since
        progress.update { $0.checkpointed = since }
        return members
    }

    /// The last checkpoint of a run that was told to stop, in a task that nobody cancels.
    private func rememberLast(_ course: Course, births: Births) async {
        guard course.since != progress.current.checkpointed, !Self.isBeginning(course.since) else { return }
        await Task {
            var course = course
            do {
                try await remember(&course, births: births)
            } catch {
                logger.info("last checkpoint not written", metadata: ["replication": "\(id)", "error": "\(error)"])
            }
        }.value
    }
}
