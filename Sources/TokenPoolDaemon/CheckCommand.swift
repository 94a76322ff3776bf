import ArgumentParser
import CouchStore

/// `tokenpoold check`: looks through a data folder for damage.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Look through a data folder, or a copy of one, for damage.",
        discussion: """
            Reads everything and changes nothing, also while tokenpoold serves the folder. Each view index is built once \
            more in the folder for temporary files (TMPDIR) and its rows are compared; --quick leaves that out. One line a database goes to \
            standard output; each damage is a line on standard error. The exit status is 0 when there is none and 1 when \
            there is.
            """)

    @Argument(help: "The folder to look through.")
    var folder = "./tokenpool-data"

    @Option(name: .customLong("database"), help: "Only this database.")
    var only: String?

    @Flag(help: "Do not compare the rows of view indexes with new ones.")
    var quick = false

    func run() throws {
        var isSound = true
        try onFolder {
            let check = try DataFolderCheck(folder: folder)
            let names = try check.names()
            if let only, !names.contains(only) {
                throw StoreError(.notFound, "there is no database \"\(only)\" in \(folder)")
            }
            for name in names where only == nil || name == only {
                let report = check.check(name, comparesRows: !quick)
                for problem in report.problems { say("\(name): \(problem)") }
                if !report.problems.isEmpty { isSound = false }
                let verdict = report.problems.isEmpty ? "sound" : "DAMAGED"
                answer(
                    """
                    \(name): \(verdict), \(report.documents) documents, \(report.deleted) deleted, \
                    \(report.indexes) view indexes
                    """)
            }
        }
        if !isSound { throw ExitCode(1) }
    }
}
