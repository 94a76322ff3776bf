import ArgumentParser
import CouchDocument
import Foundation
import TokenPool

struct SetWatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Look on until every token of a set has ended.",
        discussion: "Ends with 0 when all are done and with 1 when some ended in error.")

    @Option(help: "The time between two looks.")
    var interval = DurationArgument(argument: "1s")!

    @OptionGroup var set: SetName
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let sets = try options.tokenSets()
        let output = options.output
        let isTerminal = isatty(2) != 0 && output.style == .people
        var last: StateCounts?
        let sight = try await sets.watch(set.name, every: max(interval.duration, .milliseconds(100))) { sight in
            if isTerminal {
                FileHandle.standardError.write(Data(("\r\u{1B}[K" + Self.line(sight, width: 30)).utf8))
            } else if sight.counts != last {
                output.event(Self.json(sight, event: "counts"), Self.line(sight, width: 0))
            }
            last = sight.counts
        }
        if isTerminal { FileHandle.standardError.write(Data("\n".utf8)) }
        let errors = sight.counts[.error]
        output.answer(
            Self.json(sight, event: "ended"),
            [
                "set \"\(Output.printable(set.name))\" has ended: \(sight.counts[.done]) done, \(errors) in error"
                    + (sight.counts[.waiting] > 0 ? ", \(sight.counts[.waiting]) held back" : "")
            ])
        if errors > 0 || sight.counts[.done] < sight.total { throw ExitStatus.no }
    }

    private static func json(_ sight: SetSight, event: String) -> JSON {
        [
            "event": .string(event), "time": sight.time.json, "counts": sight.counts.json,
            "rate": sight.rate.flatMap(JSON.double) ?? .null,
            "remaining_seconds": sight.remaining.map { .integer(Int($0.components.seconds)) } ?? .null,
        ]
    }

    private static func line(_ sight: SetSight, width: Int) -> String {
        let share = sight.total > 0 ? Double(sight.counts.ended) / Double(sight.total) : 0
        var text = SetProgressDisplay.bar(share, width: width) + "\(sight.counts.ended) of \(sight.total) ended"
        text += ", \(sight.counts[.locked]) running, \(sight.counts[.error]) in error"
        if let rate = sight.rate, rate > 0 {
            text += rate >= 10 ? ", \(Int(rate.rounded()))/s" : ", \(String(format: "%.1f", rate))/s"
            if let remaining = sight.remaining, !sight.isOver { text += ", about \(remaining.shortText) left" }
        }
        return text
    }
}
