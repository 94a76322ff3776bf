import CouchDB
import CouchDocument
import Logging

/// The documents in `_replicator`: each is a replication that this server carries out, after a restart too.
extension Replicator {
    private static let database = "_replicator"
    /// The pause before `_replicator` is looked for again after it was deleted.
    private static let absence = Duration.seconds(5)

    /// A client of `_replicator`, as the server itself.
    private func ownDatabase() throws -> Database {
        let access = try localAccess()
        var configuration = try ServerConfiguration(url: access.url)
        configuration.credentials = .bearer(token: access.token(.server))
        configuration.proxy = ""
        configuration.logger = logger
        return try Server(configuration).database(Self.database)
    }

    /// Follows the documents until the task is cancelled.
    package func followDocuments() async throws {
        let database = try ownDatabase()
        var query = ChangesQuery()
        query.includeDocuments = true
        while !Task.isCancelled {
            do {
                for try await change in database.changeFeed(query) {
                    if change.id.hasPrefix("_design/") { continue }
                    await take(change)
                }
            } catch {
                if Task.isCancelled { break }
                // It was deleted, perhaps to be made anew. Its replications end with it.
                logger.notice("_replicator can not be read", metadata: ["reason": "\(error)"])
                for id in Array(documentJobs.keys) { await drop(id) }
                try? await Task.sleep(for: Self.absence)
            }
        }
        await database.server.shutdown()
    }

    private func take(_ change: Change) async {
        guard !change.isDeleted, let document = change.document else {
            await drop(change.id)
            return
        }
        switch document["_replication_state"]?.stringValue {
        case "completed", "failed":
            // Said by us, or by a server that this document was taken from: it is done until somebody edits that away.
            await drop(change.id)
        default: await start(document)
        }
    }

    private func drop(_ id: String) async {
        documentFields[id] = nil
        guard let name = documentJobs.removeValue(forKey: id) else { return }
        await remove(name)
    }

    private func start(_ document: Document) async {
        let id = document.id
        do {
            let request = try ReplicationRequest(.object(document.fields))
            if documentFields[id] == request.fields { return }
            await drop(id)
            documentFields[id] = request.fields
            try await start(request, of: document)
        } catch {
            let failure = Self.failure(error)
            if failure.isFinal {
                await drop(id)
                await write(id, state: "failed", [("_replication_state_reason", .string(failure.reason))])
            } else {
                startLater(document, failure)
            }
        }
    }

    private func start(_ request: ReplicationRequest, of document: Document) async throws {
        var account = ReplicationAccount(name: nil, roles: [])
        if let owner = document["owner"]?.stringValue {
            account = try await localAccess().account(owner) ?? ReplicationAccount(name: owner, roles: [])
        }
        let name = try await name(of: request, account: account)
        if let other = jobs[name]?.job.origin {
            let by = if case .document(let id) = other { "document `\(id)`" } else { "a request to _replicate" }
            throw ReplicationError(
                "duplicate", "Replication `\(name)` specified by document `\(document.id)` already started, by \(by)",
                isFinal: true)
        }
        documentJobs[document.id] = name
        add(name, request, .document(document.id), account)
    }

    /// Before its first run it could not be told what to run: a filter's source did not answer.
    private func startLater(_ document: Document, _ failure: ReplicationError) {
        logger.notice(
            "replication can not be started yet",
            metadata: ["document": "\(document.id)", "reason": "\(failure)"])
        documentFields[document.id] = nil
        Task {
            try? await Task.sleep(for: .seconds(10))
            await self.startAgain(document.id)
        }
    }

    private func startAgain(_ id: String) async {
        guard documentFields[id] == nil, documentJobs[id] == nil else { return }
        do {
            let database = try ownDatabase()
            let document = try await database.documentIfPresent(id)
            await database.server.shutdown()
            guard let document, document["_replication_state"] == nil else { return }
            await start(document)
        } catch {
            logger.notice("replication can not be started", metadata: ["document": "\(id)", "reason": "\(error)"])
        }
    }

    // MARK: What they are told

    /// Writes the end of a replication into its document.
    func tell(_ id: String, of running: Running, _ result: Result<JSONObject, ReplicationError>) async {
        switch result {
        case .success:
            await write(
                id, state: "completed", [("_replication_stats", .object(running.progress.info))])
        case .failure(let error):
            await write(id, state: "failed", [("_replication_state_reason", .string(error.reason))])
        }
    }

    private func write(_ id: String, state: String, _ members: [(String, JSON)]) async {
        do {
            let database = try ownDatabase()
            for _ in 0..<5 {
                guard var document = try await database.documentIfPresent(id) else { break }
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
                metadata: ["document": "\(id)", "state": "\(state)", "reason": "\(error)"])
        }
    }
}
