import ArgumentParser
import CouchDocument
import TokenPool

struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker", abstract: "The workers that are there.", subcommands: [WorkerListCommand.self])
}

struct WorkerListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Which workers are there, what they offer and what they run.",
        discussion: "PiCaS' and GRID_LRT's workers do not tell; their tokens are seen with `tokenpool token list`.")

    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let pool = try options.pool()
        let now = pool.clock.now()
        let workers = try await pool.workers()
        let rows = workers.map { worker in
            [
                worker.name, worker.isAlive(at: now) ? "alive" : "vanished", "\(worker.running.count)/\(worker.slots)",
                worker.offer.map { "\($0.json)" } ?? "", worker.job ?? "",
                worker.seen.map { (now - $0).shortText + " ago" } ?? "",
            ]
        }
        options.output.table(
            ["worker", "state", "running", "offers", "job", "seen"], rows,
            json: workers.map { worker in
                [
                    "worker": .string(worker.name), "hostname": .string(worker.hostname),
                    "alive": .bool(worker.isAlive(at: now)), "slots": .integer(worker.slots),
                    "running": .array(worker.running.map(JSON.string)), "offers": worker.offer?.json ?? .null,
                    "job": worker.job.map(JSON.string) ?? .null, "started": worker.started?.json ?? .null,
                    "seen": worker.seen?.json ?? .null,
                ]
            })
    }
}
