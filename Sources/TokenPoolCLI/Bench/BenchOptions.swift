import ArgumentParser
import CouchDB

/// What every measurement takes.
struct BenchOptions: ParsableArguments {
    @OptionGroup var options: GlobalOptions

    @Option(help: "Runs; the median is printed.")
    var runs = 5

    /// Measures with the server and prints the report.
    func report(
        _ name: String, _ settings: [(name: String, value: String)],
        _ measure: (Server, inout BenchReport) async throws -> Void
    ) async throws {
        let server = try options.server()
        let info = try await server.info()
        var report = BenchReport(name: name, settings: settings + [("runs", "\(runs)")])
        try await measure(server, &report)
        report.print(to: options.output, server: info)
    }

    /// Does something as often as there are runs, numbered from 1.
    func eachRun(_ body: (Int) async throws -> Void) async throws {
        for run in 1...max(1, runs) {
            options.output.say("run \(run) of \(runs)")
            try await body(run)
        }
    }
}
