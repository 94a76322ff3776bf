import CouchDocument
import Foundation
import Synchronization
import TestSupport

/// Pilots in their places; each is started again whenever it ends, until all are dismissed.
final class Crew: Sendable {
    private struct State {
        var running: [Int: RunningProgram] = [:]
        /// Those that SIGSTOP holds, with the moment after which they go on whatever happens.
        var stopped: [pid_t: Date] = [:]
        var isDismissed = false
        var endings: [Program.Result] = []
    }
    /// Protects who runs, who is stopped, and how they ended.
    private let state = Mutex(State())

    /// How pilots ended: 128 + SIGKILL for those that were killed.
    var endings: [Program.Result] { state.withLock(\.endings) }

    /// Keeps a pilot in that place.
    func keep(_ place: Int, _ start: () throws -> RunningProgram) async throws {
        while true {
            let pilot = try state.withLock { state -> RunningProgram? in
                if state.isDismissed { return nil }
                let pilot = try start()
                state.running[place] = pilot
                return pilot
            }
            guard let pilot else { return }
            let result = try await pilot.end(within: .seconds(3600))
            state.withLock { state in
                state.endings.append(result)
                state.stopped[pilot.pid] = nil
            }
        }
    }

    /// Sends a signal to the pilot in that place, or to the next one while that one is stopped: it is to come back.
    func signal(_ place: Int, _ number: Int32) {
        state.withLock { state in
            let places = state.running.keys.sorted()
            let others = places.filter { $0 >= place } + places.filter { $0 < place }
            let victim = others.compactMap { state.running[$0] }.first { state.stopped[$0.pid] == nil }
            victim?.signal(number)
        }
    }

    /// Stops the pilot in that place until ``resume(ifDue:)`` says otherwise.
    func stop(_ place: Int) {
        state.withLock { state in
            guard let pilot = state.running[place], !pilot.hasEnded else { return }
            pilot.signal(SIGSTOP)
            // It may have held nothing that others could take.
            state.stopped[pilot.pid] = Date() + 20
        }
    }

    /// Lets a stopped pilot go on when one of its leases was taken back, and any after a while.
    func resume(takenBackFrom workers: [String] = []) {
        state.withLock { state in
            for (pid, limit) in state.stopped
            where limit < Date() || workers.contains(where: { $0.contains(":\(pid):") }) {
                Foundation.kill(pid, SIGCONT)
                state.stopped[pid] = nil
            }
        }
    }

    /// Ends all pilots and starts no more.
    func dismiss(with signal: Int32 = SIGTERM) {
        state.withLock { state in
            state.isDismissed = true
            for pid in state.stopped.keys { Foundation.kill(pid, SIGCONT) }
            state.stopped = [:]
            for pilot in state.running.values { pilot.signal(signal) }
        }
    }
}
