import ArgumentParser
import CouchDB
import CouchDocument
import DesignDocuments
import Foundation
import TokenPool
import TokenPoolWorker

struct PilotsBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pilots",
        abstract: "Many pilots on one pool: how near to the ideal they come, and what they cost idle.",
        discussion: """
            Each pilot has connections of its own, as if it ran elsewhere. The commands sleep, so that the machine could \
            run all of them at once. The ideal is that nobody ever waits for the pool: what the same commands take, so \
            many after each other in so many slots, with nothing around them, measured before each run. Beside it stands \
            the time that they sleep, to which starting and ending a program adds. Afterwards the pool stays empty for a \
            while, and the server's requests are counted.
            """)

    @OptionGroup var bench: BenchOptions

    @Option(help: "Pilots at once.")
    var pilots = 16

    @Option(help: "Commands at once, of each pilot.")
    var slots = 1

    @Option(help: "Tokens for each pilot, in each run.")
    var tokens = 200

    @Option(help: "How long a command sleeps, in milliseconds.")
    var sleep = 50

    @Option(help: "For how many seconds the idle pilots are looked at; 0 leaves it out.")
    var idle = 30

    func run() async throws {
        let settings = [
            ("pilots", "\(pilots)"), ("slots", "\(slots)"), ("tokens", "\(tokens)"), ("sleep", "\(sleep) ms"),
            ("idle", "\(idle) s"),
        ]
        try await bench.report("pilots", settings) { server, report in
            try await BenchDatabase.with(server) { database in
                for design in DesignDocuments.all { try await database.push(design) }
                try await bench.eachRun { run in try await measure(run, server, database, &report) }
            }
        }
    }

    private func measure(_ run: Int, _ server: Server, _ database: Database, _ report: inout BenchReport) async throws {
        let count = pilots * tokens
        let seconds = String(format: "%.3f", Double(sleep) / 1000)
        try await BenchTokens.create(count, prefix: "run\(run)", in: database) { token in
            token.pool.command = ["/bin/sleep", .string(seconds)]
        }
        let each = (tokens + slots - 1) / slots
        let environment = ProcessInfo.processInfo.environment
        let bare = try await BareCommands(["/bin/sleep", seconds], environment: environment).run(
            each, slots: pilots * slots)
        _ = try await database.view(.queues, ViewQuery(limit: 1))
        let folder = NSTemporaryDirectory() + "tokenpool-bench-\(ProcessInfo.processInfo.processIdentifier)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let tally = Tally(expected: count)
        try await withThrowingTaskGroup(of: Void.self) { group in
            let start = ContinuousClock.now
            let team = try (0..<pilots).map { try pilot($0, database, folder, tally) }
            for pilot in team { group.addTask { try await pilot.run() } }
            // A pilot that fails ends the measurement.
            group.addTask { await tally.wait() }
            try await group.next()
            let elapsed = (ContinuousClock.now - start) / .seconds(1)
            report.add("throughput, of bare commands", 100 * (bare / .seconds(1)) / elapsed, unit: "%")
            report.add("throughput, of sleeping", 100 * Double(each * sleep) / 1000 / elapsed, unit: "%")
            report.add("tokens", Double(count) / elapsed, unit: "tokens/s")
            if idle > 0 { try await observeIdle(server, &report) }
            for pilot in team { pilot.stop() }
            try await group.waitForAll()
        }
        guard tally.doubles == 0 else { throw CommandFailure(message: "\(tally.doubles) tokens were run twice") }
    }

    private func pilot(_ number: Int, _ database: Database, _ folder: String, _ tally: Tally) throws -> Pilot {
        var options = PilotOptions(
            workDirectory: folder + "/\(number)", environment: ProcessInfo.processInfo.environment)
        options.slots = slots
        options.source = .queues()
        options.condition = StopCondition(waits: true)
        let own = try bench.options.server()
        let identity = WorkerIdentity(
            hostname: ProcessInfo.processInfo.hostName, processID: number + 1, environment: [:])
        return Pilot(pool: Pool(database: own.database(database.name)), options: options, identity: identity) { news in
            if case .ended(let id, .done, _, _, _) = news { tally.note(id) }
        }
    }

    private func observeIdle(_ server: Server, _ report: inout BenchReport) async throws {
        // What the last tokens set off comes to its end first.
        try await Task.sleep(for: .seconds(5))
        let before = try await Self.requests(server)
        try await Task.sleep(for: .seconds(idle))
        // This question is one of them.
        let count = try await Self.requests(server) - before - 1
        report.add("requests of an idle pilot", count / Double(idle) / Double(pilots), unit: "requests/s")
    }

    private static func requests(_ server: Server) async throws -> Double {
        let answer = try await server.request("GET", "/_node/_local/_stats/couchdb/httpd/requests").object()
        guard let value = answer["value"]?.numberValue else {
            throw CommandFailure(message: "the server does not tell how many requests it had (_stats)")
        }
        return value
    }
}
