import CouchDocument
import Dispatch
import Foundation
import Synchronization
import TokenPool
import TokenPoolWorker

/// What `work` tells while it works: a line that is rewritten on a terminal, lines otherwise, events with `--json`.
///
/// Printing has a thread of its own: a terminal that was stopped, or a reader of a pipe that sleeps, must not keep the
/// pilot from renewing its leases. What waits to be printed is bounded.
final class WorkProgress: Sendable {
    /// News that wait at most.
    private static let mostWaiting = 100_000

    private struct Backlog {
        var waiting = 0
        var dropped = 0
    }
    private struct State {
        var done = 0
        var failed = 0
        var retried = 0
        var running: Set<String> = []
        var lastDraw = 0.0
        var isDrawn = false
        var hasBegun = false
        var signals = 0
    }
    // Protects the counts, which are changed where they are printed and read at the end.
    private let state = Mutex(State())
    private let printing = DispatchQueue(label: "work progress")
    // Protects how much waits to be printed.
    private let backlog = Mutex(Backlog())
    private let output: Output
    private let worker: String
    private let isTerminal: Bool
    private let started = Date()

    init(output: Output, worker: String) {
        self.output = output
        self.worker = worker
        isTerminal = output.style == .people && isatty(STDERR_FILENO) == 1
    }

    /// Whether there was a token to work on, of what is printed.
    var hadTokens: Bool { state.withLock(\.hasBegun) }

    /// Returns at once.
    func note(_ news: PilotNews) {
        enqueue { [self] state in
            switch news {
            case .claimed(let ids):
                state.hasBegun = true
                emit(&state, ["event": "claimed", "tokens": .array(ids.map(JSON.string))], nil)
            case .started(let id, let lease):
                state.running.insert(id)
                emit(&state, ["event": "started", "token": .string(id), "lease": .string(lease)], nil)
            case .ended(let id, let outcome, let code, let time, let retries):
                state.running.remove(id)
                if outcome == .done {
                    state.done += 1
                } else if retries {
                    state.retried += 1
                } else {
                    state.failed += 1
                }
                let seconds = Double(time.wholeMilliseconds) / 1000
                var text = "\(Output.printable(id)): \(outcome.rawValue)"
                if let code, code != 0 { text += ", exit code \(code)" }
                if retries { text += ", will be tried again" }
                emit(
                    &state,
                    [
                        "event": "ended", "token": .string(id), "outcome": .string(outcome.rawValue),
                        "exit_code": code.map(JSON.integer) ?? .null, "seconds": JSON.double(seconds) ?? 0,
                        "retries": .bool(retries),
                    ], isTerminal && outcome == .done ? nil : text + String(format: " (%.1f s)", seconds))
            case .superseded(let id, let lease, let kept):
                state.running.remove(id)
                emit(
                    &state,
                    ["event": "superseded", "token": .string(id), "lease": .string(lease), "kept": .bool(kept)],
                    "\(Output.printable(id)): another worker was faster; this result is \(kept ? "kept as an attachment" : "dropped")"
                )
            case .released(let id):
                state.running.remove(id)
                emit(&state, ["event": "released", "token": .string(id)], "\(Output.printable(id)): handed back")
            case .swept(let report):
                emit(&state, report.json(event: "swept").objectValue ?? [:], report.words)
            case .waiting: emit(&state, ["event": "waiting"], "the pool is empty; waiting for more")
            case .trouble(let text): emit(&state, ["event": "trouble", "message": .string(text)], text)
            }
            draw(&state)
        }
    }

    private func enqueue(_ body: @escaping @Sendable (inout State) -> Void) {
        let hasRoom = backlog.withLock { backlog in
            if backlog.waiting == Self.mostWaiting {
                backlog.dropped += 1
                return false
            }
            backlog.waiting += 1
            return true
        }
        guard hasRoom else { return }
        printing.async { [self] in
            let dropped = backlog.withLock { backlog in
                backlog.waiting -= 1
                defer { backlog.dropped = 0 }
                return backlog.dropped
            }
            state.withLock { state in
                if dropped > 0 {
                    let text = "\(dropped) events were not printed: nobody read the output"
                    emit(&state, ["event": "trouble", "message": .string(text)], text)
                }
                body(&state)
            }
        }
    }

    func noteSignal(_ name: String) {
        enqueue { [self] state in
            state.signals += 1
            emit(
                &state, ["event": "signal", "signal": .string(name)],
                state.signals == 1
                    ? "\(name): ending, tokens are handed back; once more ends at once" : "\(name): ending at once")
        }
    }

    /// The last word: what was done in all. Nothing when the pilot never came to work. Returns when all is printed.
    func end(failed: Bool = false) async {
        await withCheckedContinuation { continuation in
            printing.async { [self] in
                state.withLock { state in
                    clear(&state)
                    if !failed || state.hasBegun { conclude(state) }
                }
                continuation.resume()
            }
        }
    }

    private func conclude(_ state: State) {
        output.event(
            [
                "event": "finished", "worker": .string(worker), "done": .integer(state.done),
                "failed": .integer(state.failed), "retried": .integer(state.retried),
            ], summary(state))
    }

    private func summary(_ state: State) -> String {
        let seconds = Date().timeIntervalSince(started)
        return "\(state.done) done, \(state.failed) failed, \(state.retried) to be tried again in "
            + String(format: "%.1f s", seconds)
    }

    private func emit(_ state: inout State, _ json: JSONObject, _ text: String?) {
        if output.style != .json && text == nil { return }
        clear(&state)
        output.event(.object(json), text ?? "")
    }

    private func clear(_ state: inout State) {
        guard state.isDrawn else { return }
        FileHandle.standardError.write(Data("\r\u{1B}[K".utf8))
        state.isDrawn = false
    }

    private func draw(_ state: inout State) {
        guard isTerminal else { return }
        let now = Date().timeIntervalSince(started)
        guard now - state.lastDraw > 0.1 || !state.isDrawn else { return }
        state.lastDraw = now
        state.isDrawn = true
        let rate = now > 0 ? Double(state.done + state.failed) / now : 0
        let text =
            "\r\u{1B}[K\(state.running.count) running · \(state.done) done · \(state.failed) failed · "
            + String(format: "%.1f tokens/s", rate)
        FileHandle.standardError.write(Data(text.utf8))
    }
}
