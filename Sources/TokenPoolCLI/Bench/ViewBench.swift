import ArgumentParser
import CouchDB
import CouchDocument
import Foundation

struct ViewBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "view", abstract: "Building views, reading pages of them, and reading straight after a write.",
        discussion: """
            Every document is emitted, with the key [group, number] and the value 1. A build is the first query of a view \
            after the documents were written; pages are read one after the other on one connection and not parsed.
            """)

    @OptionGroup var bench: BenchOptions

    @Option(help: "Documents in the views.")
    var documents = 50_000

    @Option(help: "Pages read, and writes followed by a read, in each run.")
    var requests = 500

    /// The views that are built.
    private static let reduces: [(name: String, reduce: String?)] = [
        ("map", nil), ("sum", "_sum"), ("javascript", "function (keys, values) { return sum(values); }"),
    ]

    func run() async throws {
        try await bench.report("view", [("documents", "\(documents)"), ("requests", "\(requests)")]) { server, report in
            try await bench.eachRun { _ in
                try await BenchDatabase.with(server) { database in
                    try await BenchDocuments.write(documents, to: database)
                    for (name, reduce) in Self.reduces {
                        try await build(name, reduce, server, database, &report)
                    }
                    try await server.onTransportThread { try await read(server, database, &report) }
                }
            }
        }
    }

    private func build(
        _ name: String, _ reduce: String?, _ server: Server, _ database: Database, _ report: inout BenchReport
    ) async throws {
        var design = DesignDocument(name: name)
        design.views = [
            "rows": .init(map: "function (doc) { emit([doc.group, doc.number], 1); }", reduce: reduce)
        ]
        try await database.push(design)
        let page = try await seconds {
            _ = try await server.request("GET", path(database, name), query: [("limit", "1"), ("reduce", "false")])
        }
        report.add("build: \(name)", Double(documents) / page, unit: "documents/s")
    }

    private func path(_ database: Database, _ name: String) -> String { "/\(database.name)/_design/\(name)/_view/rows" }

    private func read(_ server: Server, _ database: Database, _ report: inout BenchReport) async throws {
        var random = SystemRandomNumberGenerator()
        func pages(_ name: String, _ query: () -> [(String, String)]) async throws {
            let time = try await median(of: requests) { _ in
                _ = try await server.request("GET", path(database, "map"), query: query())
            }
            report.add(name, time, unit: "ms")
        }
        try await pages("page of 100") { [("limit", "100")] }
        try await pages("page of 100 from a random key") {
            let number = Int.random(in: 0..<max(1, documents), using: &random)
            return [("limit", "100"), ("startkey", "[\(number % 4),\(number)]")]
        }
        try await pages("page of 100 with documents") { [("limit", "100"), ("include_docs", "true")] }
        try await pages("one row") { [("limit", "1")] }
        var times: [Double] = []
        for number in documents..<documents + max(1, requests) {
            try await database.save(BenchDocuments.document("single-\(number)", number))
            times.append(
                try await seconds {
                    _ = try await server.request(
                        "GET", path(database, "map"), query: [("key", "[\(number % 4),\(number)]")])
                })
        }
        report.add("read straight after a write", median(times) * 1000, unit: "ms")
    }
}
