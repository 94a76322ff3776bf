import ArgumentParser
import CouchDocument
import TokenPool

struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker", abstract: "The workers that are there, and what one does with files of a project.",
        subcommands: [
            WorkerListCommand.self, WorkerIDCommand.self, WorkerNextCommand.self, WorkerDoneCommand.self,
            WorkerFailedCommand.self,
        ])
}

struct WorkerListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Which workers are there, what they offer and what they run; or the files of a project that one has.",
        discussion: """
            Without a project: the workers of the pool. PiCaS' and GRID_LRT's workers do not tell; their tokens are seen \
            with `tokenpool token list`.

            With a project: the files that the worker of -w has (default: as .data_dispatcher_worker_id says).
            """)

    @Flag(name: .customShort("j"), help: "The files as JSON.")
    var asJSON = false
    @Option(name: .customShort("w"), parsing: .unconditional, help: "The worker whose files are wanted.")
    var worker: String?
    @Argument(help: "A project of the dispatcher.")
    var projectID: Int?
    @OptionGroup var options: GlobalOptions

    func validate() throws {
        guard projectID == nil else { return }
        if CalledAs.now == .ddisp { throw ValidationError("Missing expected argument '<project-id>'") }
        if worker != nil || asJSON { throw ValidationError("-w and -j are for the files of a project: name one") }
    }

    func run() async throws {
        guard let projectID else { return try await listWorkers() }
        try await ReservedFiles.print(of: projectID, worker: worker, json: asJSON || options.json, options)
    }

    private func listWorkers() async throws {
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
