import CouchDocument
import CouchServer
import Replication

/// Where the server's routes and the replicator meet: the two rooms do not know each other.
struct ReplicatorDesk: ReplicationDesk {
    let replicator: Replicator

    func replicate(_ body: JSON, for account: Account) async throws -> Answer {
        let user = ReplicationAccount(name: account.name, roles: account.roles)
        do {
            switch try await replicator.replicate(body, for: user) {
            case .finished(let members): return .json(200, .object(members))
            case .started(let id): return .json(202, ["ok": true, "_local_id": .string(id)])
            case .cancelled(let id): return .json(200, ["ok": true, "_local_id": .string(id)])
            case .unknown: throw Refusal(404, "not_found", "missing")
            }
        } catch let error as ReplicationError {
            // CouchDB answers 500 to whatever keeps a replication from being.
            throw Refusal(error.word == "service_unavailable" ? 503 : 500, error.word, error.reason)
        }
    }

    func jobs() async -> [JSONObject] { await replicator.jobPages() }

    func job(_ id: String) async -> JSONObject? { await replicator.jobPage(id) }

    func page(of document: Document, in database: String) async -> JSONObject? {
        await replicator.documentPage(document, in: database)
    }

    func tasks() async -> [JSONObject] { await replicator.activeTasks() }
}
