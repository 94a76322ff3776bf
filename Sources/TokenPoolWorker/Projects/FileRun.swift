import Glibc
import Synchronization

/// A command that processes a file, and who wants it to end.
final class FileRun: Sendable {
    /// Why a command is ended from outside.
    enum Reason: Sendable {
        case pilotEnds, timeLimit, lost
    }

    let did: String
    private let process = ChildProcess()
    /// Protects the reason, which several may want to give.
    private let reason = Mutex<Reason?>(nil)

    init(_ did: String) { self.did = did }

    /// Why it was ended; the first reason counts.
    var endReason: Reason? { reason.withLock { $0 } }

    /// Ends it: TERM now, KILL after the grace.
    func end(because why: Reason, grace: Duration) {
        let isFirst = reason.withLock { reason in
            defer { reason = reason ?? why }
            return reason == nil
        }
        guard isFirst else { return }
        process.signal(SIGTERM)
        Task {
            // Never cancelled: what ended meanwhile takes no harm.
            try? await Task.sleep(for: grace)
            kill()
        }
    }

    func kill() { process.signal(SIGKILL) }

    /// Starts the command and waits for its end. Blocks.
    func run(_ spec: ChildSpec) throws -> Int { try process.run(spec).code }
}
