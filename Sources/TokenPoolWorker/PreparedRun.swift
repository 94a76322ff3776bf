import CouchDocument
import TokenPool

/// A token whose command can start at once: its folder, the files in it and its logs are there.
struct PreparedRun: Sendable {
    let control: RunControl
    let folder: WorkFolder
    let output: CapturedLog
    let errors: CapturedLog
    /// Files that came with the token, as they were before the command.
    var known: [String: FileStamp] = [:]

    var lease: String { control.lease }

    /// Closes the logs; afterwards nobody trims them any more.
    func closeLogs() {
        control.watch([])
        output.close()
        errors.close()
    }
}

/// A token whose command was started, or could not be.
struct StartedRun: Sendable {
    let run: PreparedRun
    let values: CommandValues
    let began: Timestamp
    /// Why no command runs.
    let failure: (any Error)?

    var control: RunControl { run.control }
}

extension Token {
    /// Whether files must be fetched before its command can start.
    var needsFiles: Bool { pool.sandbox.map { !$0.isNull } ?? false || !inputAttachments.isEmpty }

    /// Whether hardly anything is to be done when its command has ended, as long as its logs are short.
    var leavesLittle: Bool { pool.outputs.isEmpty && pool.resultPattern == nil }
}
