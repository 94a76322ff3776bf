import CouchDB
import CouchDocument

/// What `_scheduler` and `_active_tasks` tell.
extension Replicator {
    /// The jobs, by id.
    package func jobPages() -> [JSONObject] {
        jobs.values.sorted { $0.job.name < $1.job.name }.map(page)
    }

    /// One job; `nil` when there is none of that id.
    package func jobPage(_ name: String) -> JSONObject? { jobs[name].map(page) }

    private func page(_ running: Running) -> JSONObject {
        let job = running.job
        let history = job.history.map { entry -> JSON in
            var members: JSONObject = ["timestamp": .string(entry.time.iso8601), "type": .string(entry.type)]
            if let reason = entry.reason { members["reason"] = .string(reason) }
            return .object(members)
        }
        var page: JSONObject = [
            "database": nil, "id": .string(job.name), "pid": job.state == .running ? "<0.0.0>" : nil,
            "source": .string(job.request.source.shown), "target": .string(job.request.target.shown),
            "user": job.account.name.map(JSON.string) ?? .null, "doc_id": nil,
            "info": .object(running.progress.info), "history": .array(history), "node": .string(nodeName),
            "start_time": .string(job.added.iso8601),
        ]
        if case .document(let place) = job.origin {
            page["database"] = .string(place.database)
            page["doc_id"] = .string(place.id)
        }
        return page
    }

    /// What is told of a document in that database; `nil` for one that is no replication.
    package func documentPage(_ document: Document, in database: String) -> JSONObject? {
        if document.id.hasPrefix("_") { return nil }
        var page: JSONObject = ["database": .string(database), "doc_id": .string(document.id)]
        let running = documentJobs[ReplicatorDocument(database: database, id: document.id)].flatMap { jobs[$0] }
        let stored = document["_replication_state"]?.stringValue
        let time = document["_replication_state_time"] ?? .null
        page["id"] = running.map { .string($0.job.name) } ?? .null
        page["node"] = .string(nodeName)
        page["source"] = .null
        page["target"] = .null
        page["source_proxy"] = .null
        page["target_proxy"] = .null
        if let request = try? ReplicationRequest(.object(document.fields)) {
            page["source"] = .string(request.source.shown)
            page["target"] = .string(request.target.shown)
            page["source_proxy"] = request.source.shownProxy.map(JSON.string) ?? .null
            page["target_proxy"] = request.target.shownProxy.map(JSON.string) ?? .null
        }
        if let running {
            page["state"] = .string(running.job.state.rawValue)
            page["error_count"] = .integer(running.job.errorCount)
            var info = running.progress.info
            if running.job.state == .crashing, let error = running.job.lastError {
                info = ["error": .string(error.description)]
            }
            page["info"] = .object(info)
            page["start_time"] = .string(running.job.added.iso8601)
            page["last_updated"] = .string(running.job.updated.iso8601)
            return page
        }
        page["state"] = .string(stored ?? ReplicationJob.State.initializing.rawValue)
        page["error_count"] = .integer(stored == "failed" ? 1 : 0)
        page["info"] = document["_replication_stats"] ?? .null
        if let reason = document["_replication_state_reason"] { page["info"] = ["error": reason] }
        page["start_time"] = time
        page["last_updated"] = time
        return page
    }

    /// The entries of `_active_tasks`.
    package func activeTasks() -> [JSONObject] {
        jobs.values.filter { $0.job.state == .running }.sorted { $0.job.name < $1.job.name }.map { running in
            let job = running.job
            var task: JSONObject = [
                "type": "replication", "node": .string(nodeName), "pid": "<0.0.0>", "process_status": "waiting",
                "replication_id": .string(job.name), "continuous": .bool(job.request.isContinuous), "doc_id": nil,
                "database": nil, "user": job.account.name.map(JSON.string) ?? .null,
                "source": .string(job.request.source.shown), "target": .string(job.request.target.shown),
            ]
            if case .document(let place) = job.origin {
                task["doc_id"] = .string(place.id)
                task["database"] = .string(place.database)
            }
            task.merge(running.progress.info)
            task["started_on"] = .integer(job.added.seconds)
            task["updated_on"] = .integer(running.progress.current.updated.seconds)
            return task
        }
    }
}
