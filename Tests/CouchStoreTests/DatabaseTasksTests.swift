import CouchDocument
import CouchStore
import Dispatch
import Logging
import Testing

@Suite("What a database is busy with")
struct DatabaseTasksTests {
    /// A log whose readers wait at a gate.
    private struct GatedLog: ViewSource {
        let log: DocumentLog
        let arrived = DispatchSemaphore(value: 0)
        let gate = DispatchSemaphore(value: 0)

        func lastSequence() -> Int { log.lastSequence() }

        func changes(after first: Int, through last: Int) -> ViewChanges {
            arrived.signal()
            gate.wait()
            return log.changes(after: first, through: last)
        }

        func atOneMoment(_ body: (any ViewSource) throws -> Void) throws { try body(self) }
    }

    @Test(
        "a view that is built, and one that waits to be packed, stand in the list until they are through",
        .timeLimit(.minutes(1)))
    func views() async throws {
        let bench = try ViewBench()
        let log = try DocumentLog((0..<5).map { "{\"_id\":\"d\($0)\"}" })
        let source = GatedLog(log: log)
        let tasks = DatabaseTasks()
        let views = ViewIndexes(folder: bench.folder, source: source, tasks: tasks, logger: Logger(label: "test"))
        let design = DesignDocument(map: "function(doc) { emit(doc._id); }")
        async let rows = views.query(design: design, view: "v", ViewIndexQuery()).rows
        // On a thread of its own, so that none of those that tests share is held up.
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                source.arrived.wait()
                continuation.resume()
            }
        }
        let building = try #require(tasks.all.first)
        #expect(building.kind == .indexer)
        #expect(building.design == design.document.id)
        #expect((building.done, building.total) == (0, 5))
        async let packed: Void = views.compact(design: design)
        while tasks.all.count < 2 { await Task.yield() }
        #expect(tasks.all.map(\.kind) == [.indexer, .viewCompaction])
        source.gate.signal()
        #expect(try await rows.count == 5)
        try await packed
        #expect(tasks.all.isEmpty)
        try await views.removeAll()
        try await bench.views.removeAll()
    }

    @Test("a compaction stands in the list of the store until it is through", .timeLimit(.minutes(1)))
    func compaction() async throws {
        try await TemporaryStore.withDatabase { database, temporary in
            var revision = try await database.put("doc")
            for _ in 0..<3 { revision = try await database.put("doc", after: revision) }
            #expect(temporary.store.tasks().isEmpty)
            let compactions = Task {
                do {
                    while !Task.isCancelled { try await database.compact() }
                } catch is CancellationError {
                    // Told so while it read.
                }
            }
            var seen: (database: String, task: DatabaseTasks.Entry)?
            while seen == nil {
                seen = temporary.store.tasks().first
                await Task.yield()
            }
            compactions.cancel()
            try await compactions.value
            let found = try #require(seen)
            #expect(found.database == "db")
            #expect(found.task.kind == .databaseCompaction)
            #expect(found.task.design == nil)
            #expect(found.task.done <= found.task.total)
            #expect(temporary.store.tasks().isEmpty)
        }
    }
}
