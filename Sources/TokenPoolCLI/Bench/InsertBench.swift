import ArgumentParser
import CouchDB
import CouchDocument

struct InsertBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "insert", abstract: "Durable writes a second: single documents, and batches.")

    @OptionGroup var options: GlobalOptions

    @Option(help: "Documents written one by one, in each run.")
    var documents = 10_000

    @Option(help: "Documents written in batches, in each run.")
    var batched = 50_000

    @Option(help: "Documents in a batch.")
    var batch = 1_000

    @Option(help: "Requests at once, for the single documents.")
    var connections = 32

    @Option(help: "Runs; the median is printed.")
    var runs = 5

    func run() async throws {
        let server = try options.server()
        let info = try await server.info()
        var report = BenchReport(
            name: "insert",
            settings: [
                ("documents", "\(documents)"), ("batched", "\(batched)"), ("batch", "\(batch)"),
                ("connections", "\(connections)"), ("runs", "\(runs)"),
            ])
        for run in 1...max(1, runs) {
            options.output.say("run \(run) of \(runs)")
            try await BenchDatabase.with(server) { database in
                report.add(
                    "PUT", Double(documents) / (try await seconds { try await single(database) }), unit: "documents/s")
                report.add(
                    "_bulk_docs", Double(batched) / (try await seconds { try await bulk(database) }),
                    unit: "documents/s")
            }
        }
        report.print(to: options.output, server: info)
    }

    private func single(_ database: Database) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for connection in 0..<connections {
                group.addTask {
                    for number in stride(from: connection, to: documents, by: connections) {
                        try await database.save(Self.document("single-\(number)", number))
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func bulk(_ database: Database) async throws {
        for start in stride(from: 0, to: batched, by: batch) {
            let documents = (start..<min(start + batch, batched)).map { Self.document("bulk-\($0)", $0) }
            for outcome in try await database.bulkSave(documents) {
                if let error = outcome.error { throw error }
            }
        }
    }

    /// About 125 bytes of JSON, six members, a text of 64.
    private static func document(_ id: String, _ number: Int) -> Document {
        Document(
            id: id,
            fields: [
                "type": "bench", "number": .integer(number), "even": .bool(number % 2 == 0),
                "group": .integer(number % 7),
                "text": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            ])
    }
}
