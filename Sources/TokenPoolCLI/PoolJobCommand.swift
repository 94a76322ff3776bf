import ArgumentParser
import CouchDocument
import Foundation
import TokenPool

struct PoolJobCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "job", abstract: "PiCaS' job documents: note when a batch job was queued, began, ended.",
        subcommands: [PoolJobNoteCommand.self, PoolJobShowCommand.self])
}

struct PoolJobShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "The job's document.")

    @Argument(help: "The job's id.")
    var id: String
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        guard let job = try await options.pool().job(id) else {
            throw CommandFailure(message: "there is no job \"\(id)\"")
        }
        options.output.line(JSON.object(job.document.fields).prettyPrinted())
    }
}

struct PoolJobNoteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "note", abstract: "Note what happened to a job; the first note makes its document.")

    enum Event: String, ExpressibleByArgument, CaseIterable { case queued, started, finished, archived }

    @Argument(help: "The job's id.")
    var id: String
    @Argument(help: "queued, started, finished or archived.")
    var event: Event
    @Option(help: "The batch system that it was given to, such as slurm; with queued.")
    var method = ""
    @Option(help: "The machine; with queued and started (default of started: this one).")
    var host: String?
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let pool = try options.pool()
        let now = pool.clock.now()
        var kept = id
        if event == .archived {
            guard let job = try await pool.job(id) else {
                throw CommandFailure(message: "there is no job \"\(id)\"")
            }
            kept = try await pool.archive(job).id
        } else {
            try await pool.updateJob(id) { job in
                switch event {
                case .queued: job.queue(method: method, host: host, at: now)
                case .started: job.start(host: host ?? ProcessInfo.processInfo.hostName, at: now)
                case .finished, .archived: job.finish(at: now)
                }
            }
        }
        options.output.answer(["id": .string(kept)], ["\(Output.printable(kept)): \(event.rawValue)"])
    }
}
