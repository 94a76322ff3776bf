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
        var hasBegun = false
    }
    // Protects what the pilot's loop notes and the beating task writes.
    private let state = Mutex(State())
    private let pool: Pool
    private let identity: WorkerIdentity
    private let slots: Int
    private let offer: Offer?
    private let started: Timestamp
    /// For so long after a beat the worker is taken to be alive.
    private let trust: Duration

    init(pool: Pool, identity: WorkerIdentity, slots: Int, offer: Offer?, started: Timestamp, trust: Duration) {
        self.pool = pool
        self.identity = identity
        self.slots = slots
        self.offer = offer
        self.started = started
        self.trust = trust
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

    /// Removes the document, if there can be one.
    func end(_ patience: Patience, trouble: @Sendable (String) -> Void) async {
        guard state.withLock({ $0.hasBegun }) else { return }
        do {
            try await patience.retrying(atMost: .seconds(10)) {
                guard let revision = try await self.pool.database.documentIfPresent(self.id)?.revision else { return }
                try await self.pool.database.delete(self.id, revision: revision)
            }
        } catch {
            trouble("removing the worker's own document failed, a janitor will: \(error)")
        }
    }

    private func write() async throws {
        let now = pool.clock.now()
        let (running, revision) = state.withLock { state in
            state.hasBegun = true
            return (state.running, state.revision)
        }
        var document = Document(
            id: id,
            fields: [
                "type": "worker", "name": .string(identity.name), "hostname": .string(identity.hostname),
                "slots": .integer(slots), "running": .array(running.map(JSON.string)), "started": started.json,
                "seen": now.json, "until": (now + trust).json,
            ])
        document["offers"] = offer?.json
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
