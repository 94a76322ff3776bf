import ArgumentParser

struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract:
            "Measure a server: inserting, reading, views, claiming, running, many pilots, large sets. Or simulate.",
        discussion: """
            Each measurement but `simulate` makes a database of its own on the server and deletes it at the end. Machine, \
            settings and the median of all runs are printed; compare figures only when they were taken side by side.
            """,
        subcommands: [
            InsertBench.self, ReadBench.self, ViewBench.self, ClaimBench.self, RunBench.self, PilotsBench.self,
            SetBench.self, ProjectBench.self, SimulateBench.self,
        ])
}
