import ArgumentParser
import CouchDB
import CouchDocument
import DesignDocuments
import Foundation
import TokenPool
import TokenPoolWorker

struct RunBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Commands a second, run as tokens with their logs attached.")

    @OptionGroup var bench: BenchOptions

    @Option(help: "Tokens run, in each run.")
    var tokens = 1_000

    @Option(help: "Commands at once.")
    var slots = 2

    @Argument(parsing: .postTerminator, help: "The command (default: /bin/true).")
    var command: [String] = []

    func run() async throws {
        let arguments = command.isEmpty ? ["/bin/true"] : command
        let folder = NSTemporaryDirectory() + "tokenpool-bench-\(ProcessInfo.processInfo.processIdentifier)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let settings = [
            ("tokens", "\(tokens)"), ("slots", "\(slots)"), ("command", arguments.joined(separator: " ")),
        ]
        try await bench.report("run", settings) { server, report in
            try await BenchDatabase.with(server) { database in
                for design in DesignDocuments.all { try await database.push(design) }
                try await bench.eachRun { run in
                    try await BenchTokens.create(tokens, prefix: "run\(run)", in: database) { token in
                        token.pool.command = .array(arguments.map(JSON.string))
                    }
                    _ = try await database.view(.queues, ViewQuery(limit: 1))
                    let elapsed = try await seconds { try await work(database, folder) }
                    report.add("run", Double(tokens) / elapsed, unit: "tokens/s")
                }
                let left = try await Pool(database: database).queues().count
                guard left == 0 else {
                    throw CommandFailure(message: "tokens were left over: the figures do not count")
                }
            }
        }
    }

    private func work(_ database: Database, _ folder: String) async throws {
        var pilotOptions = PilotOptions(workDirectory: folder, environment: ProcessInfo.processInfo.environment)
        pilotOptions.slots = slots
        pilotOptions.source = .queues()
        let identity = WorkerIdentity(
            hostname: ProcessInfo.processInfo.hostName, processID: Int(ProcessInfo.processInfo.processIdentifier),
            environment: [:])
        try await Pilot(pool: Pool(database: database), options: pilotOptions, identity: identity).run()
    }
}
