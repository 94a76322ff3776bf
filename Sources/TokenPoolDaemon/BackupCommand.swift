import ArgumentParser
import CouchStore

/// `tokenpoold backup`: copies a data folder, also while it is served.
struct BackupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Copy a data folder, also while tokenpoold serves it.",
        discussion: """
            The folder is that of --data, ./tokenpool-data by default. Each database is copied as it stands at one \
            moment. The copy is a data folder: `tokenpoold check DIR` looks through it, `tokenpoold --data DIR` serves \
            it. It holds the files with the admin's password and the cookie secret, and only its owner can read it.
            """)

    @Argument(help: "The folder to make. It must not be there yet.")
    var target: String

    /// Has `--data`.
    @ParentCommand var daemon: TokenPoolDaemon

    @Flag(help: "Copy view indexes too; without them they are built again at the first read.")
    var views = false

    func run() throws {
        try onFolder {
            let backup = try DataFolderBackup(of: daemon.folder, to: target, includesViews: views)
            let summary = try backup.run { say("copied \($0)") }
            answer(
                """
                \(target): \(summary.databases) databases, \(summary.attachments) attachment files, \
                \(summary.indexes) view indexes, \(summary.bytes) bytes
                """)
        }
    }
}
