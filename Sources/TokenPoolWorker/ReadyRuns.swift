import CouchDocument
import Synchronization
import TokenPool

/// Tokens that are prepared and wait for a slot.
///
/// The thread whose command ends takes the next one from here and starts it, without asking the pilot's loop, which hears
/// of it afterwards. So who wants a token back (the pilot stops, the lease is lost) must ask here whether it still can.
final class ReadyRuns: Sendable {
    private struct State {
        /// Leases of tokens whose folders are being made.
        var preparing: Set<String> = []
        var runs: [PreparedRun] = []
    }
    // Protects who gets a token: the thread that starts it, or the loop that takes it back.
    private let state = Mutex(State())

    /// What became of a token that is wanted back.
    enum Withdrawal {
        /// It is still being prepared; ``add(_:)`` will refuse it.
        case pending
        /// It was ready; its folder must go.
        case ready(PreparedRun)
        /// A slot took it: its command runs or is about to.
        case taken
    }

    /// Notes that these are being prepared.
    func begin(_ leases: [String]) { state.withLock { $0.preparing.formUnion(leases) } }

    /// Takes in a token that is ready. `false`: it was withdrawn meanwhile.
    func add(_ run: PreparedRun) -> Bool {
        state.withLock { state in
            guard state.preparing.remove(run.lease) != nil else { return false }
            state.runs.append(run)
            return true
        }
    }

    /// Notes that one could not be prepared. `false`: it was withdrawn meanwhile.
    func fail(_ lease: String) -> Bool { state.withLock { $0.preparing.remove(lease) != nil } }

    /// Whether that token waits here or is on its way.
    func holds(_ lease: String) -> Bool {
        state.withLock { state in state.preparing.contains(lease) || state.runs.contains { $0.lease == lease } }
    }

    /// The first that requires just what the token required whose command has ended, and whose lease still lives.
    func take(after ended: Token, now: Timestamp) -> PreparedRun? {
        state.withLock { state in
            let requires = ended.pool.requires
            let index = state.runs.firstIndex { run in
                let claim = run.control.claim
                return claim.lease.until > now && claim.token.pool.requires == requires
            }
            return index.map { state.runs.remove(at: $0) }
        }
    }

    /// That token; `nil` when a slot took it already.
    func take(lease: String) -> PreparedRun? {
        state.withLock { state in
            state.runs.firstIndex { $0.lease == lease }.map { state.runs.remove(at: $0) }
        }
    }

    /// Takes a token back that is not to be started any more.
    func withdraw(_ lease: String) -> Withdrawal {
        state.withLock { state in
            if state.preparing.remove(lease) != nil { return .pending }
            guard let index = state.runs.firstIndex(where: { $0.lease == lease }) else { return .taken }
            return .ready(state.runs.remove(at: index))
        }
    }
}
