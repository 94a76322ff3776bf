import ArgumentParser
import CouchDB
import CouchDocument
import DesignDocuments
import Foundation
import TokenPool

struct ClaimBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "claim", abstract: "Claim and finish cycles a second of one pilot, no command run.",
        discussion: """
            The pool has all views of `tokenpool init`. The time of a run ends when the view from which tokens are taken has \
            followed every write and says that none is left, as a worker's last look does.
            """)

    @OptionGroup var bench: BenchOptions

    @Option(help: "Tokens claimed and finished, in each run.")
    var tokens = 5_000

    @Option(help: "Tokens held at once.")
    var slots = 32

    @Option(help: "Other tokens that lie in the pool, todo, behind those that are claimed.")
    var pool = 0

    func run() async throws {
        let designs = DesignDocuments.all.map(\.name).joined(separator: ",")
        let settings = [
            ("tokens", "\(tokens)"), ("slots", "\(slots)"), ("pool", "\(pool)"), ("views", designs),
        ]
        try await bench.report("claim", settings) { server, report in
            try await BenchDatabase.with(server) { database in
                for design in DesignDocuments.all { try await database.push(design) }
                try await BenchTokens.create(pool, prefix: "~rest", in: database)
                try await bench.eachRun { run in
                    try await BenchTokens.create(tokens, prefix: "run\(run)", in: database)
                    _ = try await database.view(.queues, ViewQuery(limit: 1))
                    let elapsed = try await seconds {
                        try await ClaimCycle(pool: Pool(database: database), slots: slots).run(tokens)
                        _ = try await database.view(.queues, ViewQuery(limit: 1))
                    }
                    report.add("claim + finish", Double(tokens) / elapsed, unit: "tokens/s")
                }
            }
        }
    }
}

/// Tokens to measure with.
enum BenchTokens {
    /// Writes todo tokens in batches and reads every row of the answers.
    static func create(
        _ count: Int, prefix: String, in database: Database, change: (inout Token) -> Void = { _ in }
    ) async throws {
        let batch = 1_000
        for start in stride(from: 0, to: count, by: batch) {
            let documents = (start..<min(start + batch, count)).map { number in
                var token = Token(id: "\(prefix)_" + String(format: "%08d", number))
                token.input = .string("true")
                change(&token)
                return token.document
            }
            for outcome in try await database.bulkSave(documents) {
                if let error = outcome.error { throw error }
            }
        }
    }
}
