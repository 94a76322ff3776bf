import CouchDB
public import CouchDocument

/// A job of a batch system, as PiCaS' `Job` documents keep it: when it was queued, began and ended, and where.
public struct BatchJob: Hashable, Sendable {
    /// The document, all fields included.
    public var document: Document

    /// A job of that id that is nowhere yet.
    public init(id: String) {
        document = Document(
            id: id,
            fields: [
                "type": "job", "hostname": "", "start": 0, "done": 0, "queue": 0, "method": "", "archive": 0,
            ])
    }

    /// Takes a document; `nil` when its type is not `job`.
    public init?(_ document: Document) {
        guard document["type"] == "job" else { return nil }
        self.document = document
    }

    /// `_id`.
    public var id: String { document.id }
    /// The batch system that it was given to.
    public var method: String { document["method"]?.stringValue ?? "" }
    /// The machine that it was sent to or runs on.
    public var hostname: String { document["hostname"]?.stringValue ?? "" }
    /// When it was given to the batch system.
    public var queued: Timestamp? { moment("queue") }
    /// When it began.
    public var started: Timestamp? { moment("start") }
    /// When it ended.
    public var ended: Timestamp? { moment("done") }
    /// Whether it ended.
    public var isDone: Bool { ended != nil }

    private func moment(_ field: String) -> Timestamp? {
        Timestamp(document[field]).flatMap { $0.milliseconds == 0 ? nil : $0 }
    }

    /// Notes that it was given to a batch system.
    public mutating func queue(method: String, host: String? = nil, at now: Timestamp) {
        document["method"] = .string(method)
        if let host { document["hostname"] = .string(host) }
        document["queue"] = .integer(now.seconds)
    }

    /// Notes that it began on a machine; an earlier end no longer counts.
    public mutating func start(host: String, at now: Timestamp) {
        document["start"] = .integer(now.seconds)
        document["done"] = 0
        document["archive"] = 0
        document["hostname"] = .string(host)
    }

    /// Notes that it ended.
    public mutating func finish(at now: Timestamp) { document["done"] = .integer(now.seconds) }
}

extension Pool {
    /// The job of that id; `nil` when there is none.
    public func job(_ id: String) async throws -> BatchJob? {
        try await database.documentIfPresent(id).flatMap(BatchJob.init)
    }

    /// Changes a job as it stands now, or a new one, again while others change it meanwhile.
    ///
    /// - Throws: ``PoolError/Code/badInput`` when the id belongs to something else.
    @discardableResult
    public func updateJob(_ id: String, _ change: (inout BatchJob) -> Void) async throws -> BatchJob {
        for _ in 0..<Self.patience {
            let present = try await database.documentIfPresent(id)
            guard var job = present.map(BatchJob.init) ?? BatchJob(id: id) else {
                throw PoolError(.badInput, "document \"\(id)\" is no job: name the job otherwise")
            }
            change(&job)
            do {
                job.document.revision = try await database.save(job.document)
                return job
            } catch CouchDBError.conflict { continue }
        }
        throw PoolError(.contended, "changing job \"\(id)\": others changed it each time; try again")
    }

    /// Puts a job away under `archived-<id>-<seconds>`, files included, so that its id is free again.
    ///
    /// - Returns: The job as it is kept.
    /// - Throws: ``CouchDBError/conflict`` when it was archived before in the same second, or somebody changed it.
    @discardableResult
    public func archive(_ job: BatchJob) async throws -> BatchJob {
        guard let revision = job.document.revision else {
            throw PoolError(.badInput, "archiving job \"\(job.id)\": it was never saved")
        }
        let now = clock.now()
        let name = "archived-\(job.id)-\(now.seconds)"
        // A copy on the server takes the files along.
        let copied = try await database.copy(job.id, revision: revision, to: name)
        var archived = job
        archived.document["_id"] = .string(name)
        archived.document.revision = copied
        for (file, stub) in try await database.document(name).attachments {
            archived.document.attachments[file] = stub
        }
        if !job.isDone { archived.finish(at: now) }
        archived.document["archive"] = .integer(now.seconds)
        archived.document.revision = try await database.save(archived.document)
        try await database.delete(job.id, revision: revision)
        return archived
    }
}
