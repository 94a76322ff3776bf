import ArgumentParser
import CouchDocument
import Foundation
import Sandboxes
import TokenPool

struct SetCollectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "collect", abstract: "Fetch the files of a set's tokens.",
        discussion: """
            Files come to FOLDER/TOKEN/FILE. What an earlier run fetched is not fetched again unless it changed. Outputs \
            that workers copied elsewhere (output_to) are fetched from there, and kept only when their SHA-256 is the one \
            in the token.

            With --table the fields of the tokens are written instead, of all states unless --state says which: as CSV, or \
            as a JSON object a line when the file's name ends in .jsonl or with --json.
            """)

    @OptionGroup var set: SetName

    @Argument(help: "The folder (default: the set's name).", completion: .directory)
    var folder: String?

    @Flag(help: "Of all tokens, not only of those that are done.")
    var all = false

    @Option(parsing: .singleValue, help: "Of tokens in this state; can be repeated (default: done).")
    var state: [TokenState] = []

    @Option(parsing: .singleValue, help: "Only files of such names, such as '*.png'; can be repeated.")
    var match: [String] = []

    @Option(help: "Write a table of the tokens' fields to this file; - is stdout.", completion: .file())
    var table: String?

    @Option(help: "The table's columns, such as _id,state,input.q,output.chi2 (default: all there are).")
    var columns: String?

    @OptionGroup var options: GlobalOptions

    func validate() throws {
        guard table == nil || folder == nil && match.isEmpty else {
            throw ValidationError("--table goes without a folder and --match")
        }
        guard table != nil || columns == nil else { throw ValidationError("--columns is for --table") }
    }

    private func writeTable(_ path: String, of sets: TokenSets) async throws {
        let format: TableFormat = options.json || path.hasSuffix(".jsonl") ? .jsonl : .csv
        let columns = columns.map { $0.split(separator: ",").map(String.init) }
        let states = all || state.isEmpty ? nil : Set(state)
        guard path != "-" else {
            let out = FileHandle.standardOutput
            try await sets.table(of: set.name, as: format, states: states, columns: columns) {
                try out.write(contentsOf: Data($0.utf8))
            }
            return
        }
        // Complete or not there at all.
        let draft = path + ".partial"
        guard FileManager.default.createFile(atPath: draft, contents: nil),
            let file = FileHandle(forWritingAtPath: draft)
        else { throw CommandFailure(message: "\(draft) can not be written", status: .usage) }
        let count = try await sets.table(of: set.name, as: format, states: states, columns: columns) {
            try file.write(contentsOf: Data($0.utf8))
        }
        try file.close()
        guard rename(draft, path) == 0 else {
            throw CommandFailure(message: "\(path) can not be written: \(String(cString: strerror(errno)))")
        }
        options.output.say("\(count) tokens are in \(Output.printable(path))")
    }

    func run() async throws {
        let sets = try options.tokenSets()
        if let table { return try await writeTable(table, of: sets) }
        let patterns = try match.map { try GlobPattern($0, matchesHidden: true) }
        let states = all ? Set(TokenState.allCases) : state.isEmpty ? [.done] : Set(state)
        let target = folder ?? set.name.replacing("/", with: "_")
        let display = SetProgressDisplay(options.output)
        defer { display.end() }
        let report = try await sets.collect(
            set.name, into: target, states: states,
            matching: { name in patterns.isEmpty || patterns.contains { $0.matches(name) } }, progress: display.report)
        display.end()
        for failure in report.failures { options.output.complain(failure) }
        options.output.answer(
            report.json,
            [
                "\(report.tokens) tokens: \(report.files) files fetched into \(Output.printable(target)) (\(report.bytes) bytes)"
                    + (report.present > 0 ? ", \(report.present) were there already" : "")
            ])
        if !report.failures.isEmpty { throw ExitStatus.no }
    }
}
