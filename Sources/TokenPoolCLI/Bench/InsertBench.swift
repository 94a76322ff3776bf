import ArgumentParser
import CouchDB
import CouchDocument

struct InsertBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "insert", abstract: "Durable writes a second: single documents, and batches.")

    @OptionGroup var bench: BenchOptions

    @Option(help: "Documents written one by one, in each run.")
    var documents = 10_000

    @Option(help: "Documents written in batches, in each run.")
    var batched = 50_000

    @Option(help: "Documents in a batch.")
    var batch = 1_000

    @Option(help: "Requests at once, for the single documents.")
    var connections = 32

    func run() async throws {
        let settings = [
            ("documents", "\(documents)"), ("batched", "\(batched)"), ("batch", "\(batch)"),
            ("connections", "\(connections)"),
        ]
        try await bench.report("insert", settings) { server, report in
            try await bench.eachRun { _ in
                try await BenchDatabase.with(server) { database in
                    report.add(
                        "PUT", Double(documents) / (try await seconds { try await single(database) }),
                        unit: "documents/s")
                    let elapsed = try await seconds {
                        try await BenchDocuments.write(batched, batch: batch, to: database)
                    }
                    report.add("_bulk_docs", Double(batched) / elapsed, unit: "documents/s")
                }
            }
        }
    }

    private func single(_ database: Database) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for connection in 0..<connections {
                group.addTask {
                    for number in stride(from: connection, to: documents, by: connections) {
                        try await database.save(BenchDocuments.document("single-\(number)", number))
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
