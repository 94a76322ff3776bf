import ArgumentParser
import CouchDocument
import Foundation
import Sandboxes
import TokenPool

struct SetCollectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "collect", abstract: "Fetch the files of a set's tokens.",
        discussion: """
            Files come to FOLDER/TOKEN/FILE. What an earlier run fetched is not fetched again unless it changed.
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

    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let sets = try options.tokenSets()
        let patterns = try match.map { try GlobPattern($0, matchesHidden: true) }
        let states = all ? Set(TokenState.allCases) : state.isEmpty ? [.done] : Set(state)
        let target = folder ?? set.name.replacing("/", with: "_")
        let display = SetProgressDisplay(options.output)
        defer { display.end() }
        let report = try await sets.collect(
            set.name, into: target, states: states,
            matching: { name in patterns.isEmpty || patterns.contains { $0.matches(name) } }, progress: display.report)
        display.end()
        options.output.answer(
            report.json,
            [
                "\(report.tokens) tokens: \(report.files) files fetched into \(Output.printable(target)) (\(report.bytes) bytes)"
                    + (report.present > 0 ? ", \(report.present) were there already" : "")
            ])
    }
}
