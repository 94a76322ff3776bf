import CouchDB
import CouchDocument
import Logging

/// The documents in `_replicator`, and in every database whose name ends in `/_replicator`: each is a replication that this
/// server carries out, after a restart too.
extension Replicator {
    /// The pause before a database that could not be read is read again.
    private static let absence = Duration.seconds(5)

    /// A client of one of them, as the server itself.
    private func ownDatabase(_ name: String) throws -> Database {
        let access = try localAccess()
        var configuration = try ServerConfiguration(url: access.url)
        configuration.tls.unverifiedHost = access.host
        configuration.credentials = .bearer(token: access.token(.server))
        configuration.proxy = ""
        configuration.logger = logger
        return try Server(configuration).database(name)
    }

    /// Follows the documents of all databases that there are and come, until the task is cancelled.
    package func followDocuments() async throws {
        let databases = try localAccess().databases
        var followers: [String: Task<Void, any Error>] = [:]
        for await names in databases() {
            for (name, follower) in followers where !names.contains(name) {
                followers[name] = nil
                follower.cancel()
                _ = await follower.result
                await dropAll(of: name)
            }
            for name in names where followers[name] == nil {
                followers[name] = Task { try await self.follow(name) }
            }
        }
        for follower in followers.values { follower.cancel() }
        for follower in followers.values { try await follower.value }
    }

    private func follow(_ name: String) async throws {
        let database = try ownDatabase(name)
        var query = ChangesQuery()
        query.includeDocuments = true
        while !Task.isCancelled {
            do {
                for try await change in database.changeFeed(query) {
                    if change.id.hasPrefix("_design/") { continue }
                    await take(change, in: name)
                }
            } catch {
                if Task.isCancelled { break }
                logger.notice(
                    "replications can not be read", metadata: ["database": "\(name)", "reason": "\(error)"])
            }
            if Task.isCancelled { break }
            // It was deleted, perhaps to be made anew. Its replications end with it.
            await dropAll(of: name)
            // Cancelled meanwhile: the loop's condition ends it.
            try? await time.sleep(Self.absence)
        }
        await database.server.shutdown()
    }

    private func dropAll(of database: String) async {
        for place in Array(documentJobs.keys) where place.database == database { await drop(place) }
        for place in Array(documentFields.keys) where place.database == database { documentFields[place] = nil }
        for place in Array(documentErrors.keys) where place.database == database { documentErrors[place] = nil }
    }

    private func take(_ change: Change, in database: String) async {
        let place = ReplicatorDocument(database: database, id: change.id)
        guard !change.isDeleted, let document = change.document else {
            await drop(place)
            return
        }
        switch document["_replication_state"]?.stringValue {
        case "completed", "failed":
            // Said by us, or by a server that this document was taken from: it is done until somebody edits that away.
            await drop(place)
        default: await start(document, at: place)
        }
    }

    private func drop(_ place: ReplicatorDocument) async {
        documentFields[place] = nil
        documentErrors[place] = nil
        guard let name = documentJobs.removeValue(forKey: place) else { return }
        await remove(name)
    }

    private func start(_ document: Document, at place: ReplicatorDocument) async {
        do {
            let request = try ReplicationRequest(.object(document.fields))
            if documentFields[place] == request.fields { return }
            await drop(place)
            documentFields[place] = request.fields
            try await start(request, of: document, at: place)
        } catch {
            let failure = Self.failure(error)
            if failure.isFinal {
                await drop(place)
                await write(place, state: "failed", [("_replication_state_reason", .string(failure.reason))])
            } else {
                startLater(place, failure)
            }
        }
    }

    private func start(_ request: ReplicationRequest, of document: Document, at place: ReplicatorDocument) async throws
    {
        var account = ReplicationAccount(name: nil, roles: [])
        if let owner = document["owner"]?.stringValue {
            account = try await localAccess().account(owner) ?? ReplicationAccount(name: owner, roles: [])
        }
        let name = try await name(of: request, account: account)
        if let other = jobs[name]?.job.origin {
            let by =
                if case .document(let other) = other {
                    "document `\(other.id)` in `\(other.database)`"
                } else {
                    "a request to _replicate"
                }
            throw ReplicationError(
                "duplicate", "Replication `\(name)` specified by document `\(place.id)` already started, by \(by)",
                isFinal: true)
        }
        documentErrors[place] = nil
        documentJobs[place] = name
        add(name, request, .document(place), account)
    }

    /// Before its first run it could not be told what to run: a filter's source did not answer.
    private func startLater(_ place: ReplicatorDocument, _ failure: ReplicationError) {
        logger.notice(
            "replication can not be started yet",
            metadata: ["database": "\(place.database)", "document": "\(place.id)", "reason": "\(failure)"])
        documentFields[place] = nil
        let errors = (documentErrors[place] ?? 0) + 1
        documentErrors[place] = errors
        let pause = schedule.retry.pause(after: errors)
        Task {
            // Cancelled by nobody: whether there is still something to start is asked then.
            try? await time.sleep(pause)
            await self.startAgain(place)
        }
    }

    private func startAgain(_ place: ReplicatorDocument) async {
        guard documentErrors[place] != nil, documentFields[place] == nil, documentJobs[place] == nil else { return }
        do {
            let database = try ownDatabase(place.database)
            let document = try await database.documentIfPresent(place.id)
            await database.server.shutdown()
            guard let document, document["_replication_state"] == nil else { return }
            await start(document, at: place)
        } catch {
            logger.notice(
                "replication can not be started",
                metadata: ["database": "\(place.database)", "document": "\(place.id)", "reason": "\(error)"])
        }
    }

    // MARK: What they are told

    /// Writes the end of a replication into its document.
    func tell(_ place: ReplicatorDocument, of running: Running, _ result: Result<JSONObject, ReplicationError>) async {
        switch result {
        case .success:
            await write(
                place, state: "completed", [("_replication_stats", .object(running.progress.info))])
        case .failure(let error):
            await write(place, state: "failed", [("_replication_state_reason", .string(error.reason))])
        }
    }

    private func write(_ place: ReplicatorDocument, state: String, _ members: [(String, JSON)]) async {
        do {
            let database = try ownDatabase(place.database)
            for _ in 0..<5 {
                guard var document = try await database.documentIfPresent(place.id) else { break }
                for name in ["_replication_state_reason", "_replication_stats", "_replication_id"] {
                    document[name] = nil
                }
                document["_replication_state"] = .string(state)
                document["_replication_state_time"] = .string(now.iso8601)
                for (name, value) in members { document[name] = value }
                do {
                    _ = try await database.save(document)
                    break
                } catch CouchDBError.conflict {
                    // Somebody edits it at the same time: what they wrote is read first.
                    continue
                }
            }
            await database.server.shutdown()
        } catch {
            logger.error(
                "the state of a replication was not written",
                metadata: [
                    "database": "\(place.database)", "document": "\(place.id)", "state": "\(state)",
                    "reason": "\(error)",
                ])
        }
    }
}
