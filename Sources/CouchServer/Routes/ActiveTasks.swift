import CouchDocument
import CouchStore

/// `_active_tasks`: replications, and what the databases are busy with.
struct ActiveTasks: Sendable {
    let service: CouchService

    func answer() async -> Answer {
        let own = service.store.tasks().map { Self.page(of: $0.task, in: $0.database) }
        return .json(200, .array((await service.replication.tasks() + own).map { .object($0) }))
    }

    /// With the members that CouchDB has; there are no processes here whose ids could be told.
    private static func page(of task: DatabaseTasks.Entry, in database: String) -> JSONObject {
        var page: JSONObject = [
            "node": .string(CouchService.nodeName), "pid": "<0.0.0>", "type": .string(task.kind.rawValue),
            "database": .string(database),
        ]
        page["design_document"] = task.design.map(JSON.string)
        switch task.kind {
        case .indexer: page["indexer_pid"] = "<0.0.0>"
        case .databaseCompaction: page["phase"] = "document_copy"
        case .viewCompaction: page["phase"] = "view"
        }
        page["progress"] = .integer(task.total == 0 ? 0 : task.done * 100 / task.total)
        page["changes_done"] = .integer(task.done)
        page["total_changes"] = .integer(task.total)
        page["started_on"] = .integer(task.started)
        page["updated_on"] = .integer(task.updated)
        page["process_status"] = "waiting"
        return page
    }
}
