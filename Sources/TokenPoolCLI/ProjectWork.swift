import CouchDocument
import DispatcherClient
import Foundation
import Synchronization
import TokenPoolWorker
import UnixSignals

/// `work --project`: the files of a project in place of tokens.
struct ProjectWork {
    let options: GlobalOptions
    let settings: ProjectPilotOptions

    func run() async throws {
        let client = try DispatcherAccess(options).client()
        let progress = ProjectProgress(output: options.output, project: settings.project, worker: settings.worker)
        let pilot = ProjectPilot(client: client, options: settings) { progress.note($0) }
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let listening = Task {
            for await signal in signals {
                progress.noteSignal("\(signal)")
                pilot.stop()
            }
        }
        defer { listening.cancel() }
        do {
            try await pilot.run()
        } catch {
            await progress.end(failed: true)
            throw error
        }
        await progress.end()
    }
}

/// What `work --project` tells while it works: a line a file on stderr, events with `--json`.
///
/// Printing has a thread of its own: whoever reads slowly must not keep files from being given back.
final class ProjectProgress: Sendable {
    private struct Counts {
        var files: [FileOutcome: Int] = [:]
        var signals = 0
    }
    // Protects the counts.
    private let counts = Mutex(Counts())
    private let printing = DispatchQueue(label: "project progress")
    private let output: Output
    private let project: Int
    private let worker: String
    private let started = Date()

    init(output: Output, project: Int, worker: String) {
        self.output = output
        self.project = project
        self.worker = worker
    }

    func note(_ news: ProjectNews) {
        switch news {
        case .started(let did, let attempt):
            // People see a line a file, when it has ended.
            if output.style == .json {
                emit(["event": "started", "file": .string(did), "attempt": .integer(attempt)], "")
            }
        case .ended(let did, let outcome, let code, let time):
            counts.withLock { $0.files[outcome, default: 0] += 1 }
            let seconds = Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18
            let exit = code.map { $0 == 0 ? "" : ", exit code \($0)" } ?? ""
            emit(
                [
                    "event": "ended", "file": .string(did), "outcome": .string(outcome.rawValue),
                    "exit_code": code.map(JSON.integer) ?? .null,
                    "seconds": JSON.double((seconds * 1000).rounded() / 1000) ?? 0,
                ], "\(Output.printable(did)): \(outcome.words)\(exit) " + String(format: "(%.1f s)", seconds))
        case .trouble(let text): emit(["event": "trouble", "message": .string(text)], Output.printable(text))
        }
    }

    func noteSignal(_ name: String) {
        let count = counts.withLock { counts in
            counts.signals += 1
            return counts.signals
        }
        emit(
            ["event": "signal", "signal": .string(name)],
            "\(name): " + (count == 1 ? "ending, files are given back; once more ends at once" : "ending at once"))
    }

    private func emit(_ json: JSONObject, _ text: String) {
        printing.async { [output] in output.event(.object(json), text) }
    }

    /// The last word; nothing when no file was ever tried. Returns when all is printed.
    func end(failed: Bool = false) async {
        let files = counts.withLock(\.files)
        if !failed || !files.isEmpty { conclude(files) }
        await withCheckedContinuation { continuation in printing.async { continuation.resume() } }
    }

    private func conclude(_ files: [FileOutcome: Int]) {
        func count(_ outcome: FileOutcome) -> Int { files[outcome] ?? 0 }
        var json: JSONObject = ["event": "finished", "project": .integer(project), "worker": .string(worker)]
        for outcome in FileOutcome.allCases { json[outcome.rawValue] = .integer(count(outcome)) }
        var text =
            "project \(project): \(count(.done)) done, \(count(.failed)) failed, \(count(.retry)) to be tried again"
        if count(.returned) > 0 { text += ", \(count(.returned)) given back" }
        if count(.lost) > 0 { text += ", \(count(.lost)) lost to others" }
        emit(json, text + String(format: " in %.1f s", Date().timeIntervalSince(started)))
    }
}

extension FileOutcome {
    /// For people.
    fileprivate var words: String {
        switch self {
        case .done: "done"
        case .retry: "to be tried again"
        case .failed: "failed"
        case .returned: "given back"
        case .lost: "lost to another worker"
        }
    }
}
