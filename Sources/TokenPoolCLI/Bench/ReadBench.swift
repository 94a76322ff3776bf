import ArgumentParser
import CouchDB
import CouchDocument

struct ReadBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "read", abstract: "Documents read by id: one after the other, and many at once.",
        discussion: """
            Reads documents of 125 bytes in no order. With many documents it also tells what a place in the middle of \
            all documents costs (`_all_docs` from a start key, with its offset).
            """)

    @OptionGroup var bench: BenchOptions

    @Option(help: "Documents in the database.")
    var documents = 10_000

    @Option(help: "Reads one after the other, in each run.")
    var sequential = 2_000

    @Option(help: "Reads by all connections together, in each run.")
    var concurrent = 20_000

    @Option(help: "Requests at once, for the concurrent reads.")
    var connections = 32

    func run() async throws {
        let settings: [(name: String, value: String)] = [
            ("documents", "\(documents)"), ("sequential", "\(sequential)"), ("concurrent", "\(concurrent)"),
            ("connections", "\(connections)"),
        ]
        try await bench.report("read", settings) { server, report in
            try await BenchDatabase.with(server) { database in
                try await BenchDocuments.write(documents, to: database)
                try await bench.eachRun { _ in
                    try await server.onTransportThread { try await readAlone(database, &report) }
                    let together = try await seconds {
                        try await server.onTransportThread { try await readTogether(database) }
                    }
                    report.add("GET, \(connections) at once", Double(concurrent) / together, unit: "documents/s")
                }
            }
        }
    }

    private func readAlone(_ database: Database, _ report: inout BenchReport) async throws {
        let documents = try await median(of: sequential) { _ = try await database.document(place($0)) }
        report.add("GET, one after the other", documents, unit: "ms")
        let pages = try await median(of: 100) {
            var query = ViewQuery(startKey: .string(place($0)), endKey: nil)
            query.limit = 10
            _ = try await database.allDocuments(query)
        }
        report.add("_all_docs, 10 from a start key", pages, unit: "ms")
    }

    /// Some document for the n-th read; near reads are far apart.
    private func place(_ number: Int) -> String { "bulk-\(number &* 7919 % max(1, documents))" }

    private func readTogether(_ database: Database) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for connection in 0..<connections {
                group.addTask {
                    for number in stride(from: connection, to: concurrent, by: connections) {
                        _ = try await database.document(place(number))
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
