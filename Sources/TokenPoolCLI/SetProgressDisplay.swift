import CouchDocument
import Foundation
import Synchronization
import TokenPool

/// Shows how far long work is: a bar that is redrawn on a terminal, a line now and then elsewhere, events with `--json`.
final class SetProgressDisplay: Sendable {
    private struct State {
        var phase: SetProgress.Phase?
        var shown = ContinuousClock.now - .seconds(3600)
        var isDrawn = false
    }

    private let output: Output
    private let isTerminal: Bool
    // The mutex protects what is on the screen: reports come from several tasks.
    private let state = Mutex(State())

    init(_ output: Output) {
        self.output = output
        isTerminal = isatty(2) != 0 && output.style == .people
    }

    /// What a long operation calls.
    var report: TokenSets.Progress { { [self] in show($0) } }

    private func show(_ progress: SetProgress) {
        state.withLock { state in
            let isNewPhase = state.phase != progress.phase
            let isLast = progress.total.map { progress.done >= $0 } ?? false
            let pause: Duration = isTerminal ? .milliseconds(100) : .seconds(5)
            let isDue = ContinuousClock.now - state.shown >= pause
            // Small work is over before anybody could read a line about it.
            if !isTerminal && isNewPhase { state.shown = .now }
            state.phase = progress.phase
            guard isTerminal ? isNewPhase || isLast || isDue : isDue && !isNewPhase else { return }
            state.shown = .now
            if isTerminal {
                Self.write("\r\u{1B}[K" + Self.line(progress, width: 30))
                state.isDrawn = true
            } else {
                output.event(
                    [
                        "event": "progress", "phase": .string(progress.phase.rawValue), "done": .integer(progress.done),
                        "total": progress.total.map(JSON.integer) ?? .null,
                    ], Self.line(progress, width: 0))
            }
        }
    }

    /// Ends the bar's line, so that what follows begins on its own.
    func end() {
        state.withLock { state in
            if state.isDrawn { Self.write("\r\u{1B}[K") }
            state.isDrawn = false
        }
    }

    private static func line(_ progress: SetProgress, width: Int) -> String {
        let phase = progress.phase.rawValue
        guard let total = progress.total, total > 0 else { return "\(phase): \(progress.done)" }
        let share = min(1, Double(progress.done) / Double(total))
        return "\(phase): \(bar(share, width: width))\(progress.done) of \(total) (\(Int(share * 100)) %)"
    }

    static func bar(_ share: Double, width: Int) -> String {
        guard width > 0 else { return "" }
        let full = Int(share * Double(width))
        return "[" + String(repeating: "#", count: full) + String(repeating: ".", count: width - full) + "] "
    }

    private static func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
