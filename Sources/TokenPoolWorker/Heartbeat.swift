import CouchDB
import CouchDocument
import Synchronization
import TokenPool

/// The document by which a pilot is seen: `worker_<name>`, with its machine, its slots and what it runs.
///
/// Nothing depends on it; a lease alone says who holds a token.
final class Heartbeat: Sendable {
    private struct State {
        var running: [String] = []
        var revision: Revision?
    }
    // Protects what the pilot's loop notes and the beating task writes.
    private let state = Mutex(State())
    private let pool: Pool
    private let identity: WorkerIdentity
    private let slots: Int
    private let started: Timestamp

    init(pool: Pool, identity: WorkerIdentity, slots: Int, started: Timestamp) {
        self.pool = pool
        self.identity = identity
        self.slots = slots
        self.started = started
    }

    private var id: String { "worker_" + identity.name }

    func note(_ running: [String]) { state.withLock { $0.running = running } }

    /// Writes the document now and then until the task is cancelled.
    func beat(every pause: Duration, trouble: @Sendable (String) -> Void) async {
        while !Task.isCancelled {
            do {
                try await write()
            } catch is CancellationError {
                return
            } catch {
                if !Task.isCancelled { trouble("writing the worker's own document failed: \(error)") }
            }
            do {
                try await Task.sleep(for: pause)
            } catch {
                return  // The pilot is over.
            }
        }
    }

    /// Removes the document.
    func end(trouble: @Sendable (String) -> Void) async {
        do {
            guard let revision = try await pool.database.documentIfPresent(id)?.revision else { return }
            try await pool.database.delete(id, revision: revision)
        } catch {
            trouble("removing the worker's own document failed: \(error)")
        }
    }

    private func write() async throws {
        let (running, revision) = state.withLock { ($0.running, $0.revision) }
        var document = Document(
            id: id,
            fields: [
                "type": "worker", "name": .string(identity.name), "hostname": .string(identity.hostname),
                "slots": .integer(slots), "running": .array(running.map(JSON.string)), "started": started.json,
                "seen": pool.clock.now().json,
            ])
        if let job = identity.job { document[job.field] = job.value }
        document.revision = revision
        do {
            let saved = try await pool.database.save(document)
            state.withLock { $0.revision = saved }
        } catch CouchDBError.conflict {
            let current = try await pool.database.documentIfPresent(id)?.revision
            state.withLock { $0.revision = current }
        }
    }
}
