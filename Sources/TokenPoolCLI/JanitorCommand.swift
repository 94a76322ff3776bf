import ArgumentParser
import CouchDocument
import TokenPool
import UnixSignals

struct JanitorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "janitor",
        abstract: "Keep the pool in order: lapsed leases, tokens that are due, what others left half done.",
        discussion: """
            Runs until SIGTERM or SIGINT. Any number may run at once, and tokenpoold has one of its own; a pool on a \
            CouchDB server wants at least one somewhere, since workers see to it only while they have nothing else to do.
            """)

    @Flag(help: "Do what there is to do now, and end.")
    var once = false
    @Option(
        help:
            "Take tokens back from workers without leases (PiCaS, GRID_LRT) after this time, such as 24h (default: what `tokenpool pool settings` says)."
    )
    var takeBackAfter: DurationArgument?
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let output = options.output
        let janitor = Janitor(pool: try options.pool(), takeBackAfter: takeBackAfter?.duration) { report in
            output.event(report.json(event: "swept"), report.words)
        }
        if once {
            let report = try await janitor.once()
            output.answer(report.json(event: "swept"), [report.isEmpty ? "nothing to do" : report.words])
            if !report.failures.isEmpty { throw ExitStatus.no }
            return
        }
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await janitor.run() }
            group.addTask { for await _ in signals { return } }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}

extension SweepReport {
    /// What a sweep did, without what it did not do.
    var words: String {
        let all: [(Int, String)] = [
            (returned.count, "taken back from vanished workers"), (givenUp.count, "given up"),
            (released.count, "due again"), (finishedSets.count, "sets finished that were left half done"),
            (closedProjects.count, "projects ended, abandoned or removed"),
            (finishedReplicas.count, "files told of their replicas"),
            (removedWorkers.count, "vanished workers forgotten"), (repaired.count, "conflicts repaired"),
        ]
        let parts = all.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        return (parts + failures.map(Output.printable)).joined(separator: ", ")
    }

    /// The sweep as an event.
    func json(event: String) -> JSON {
        func list(_ names: [String]) -> JSON { .array(names.map(JSON.string)) }
        return [
            "event": .string(event), "returned": list(returned), "given_up": list(givenUp), "released": list(released),
            "finished_sets": list(finishedSets),
            "closed_projects": .array(closedProjects.map(JSON.integer)), "finished_replicas": list(finishedReplicas),
            "removed_workers": list(removedWorkers), "repaired": list(repaired),
            "failures": list(failures),
        ]
    }
}
