import Logging
import Synchronization
import TokenPool

/// Sees to it that what becomes due in a pool is acted on when it does: reservations that end, idle projects.
///
/// Knows what this gateway was told, and looks now and then for what it was not. Janitors do the same, less promptly; any
/// number may be at it.
package final class DeadlineWatch: Sendable {
    private struct State {
        var next: Timestamp?
        /// Whether something was noted since the last look.
        var isBusy = false
        var sleeper: Task<Void, Never>?
    }
    /// Protects the next moment and who sleeps until then.
    private let state = Mutex(State())
    private static let period = Duration.seconds(60)
    /// While files are reserved: what is due is found through a view, which is to be nearly up to date when it counts.
    private static let busyPeriod = Duration.seconds(5)
    /// Between two looks, so that what becomes due at about the same time is done together.
    private static let rest = Duration.milliseconds(100)

    package init() {}

    /// Takes in that something becomes due at that moment.
    package func note(_ moment: Timestamp) {
        let sleeper = state.withLock { state -> Task<Void, Never>? in
            // The first after a quiet time wakes it too.
            let isFirst = !state.isBusy
            state.isBusy = true
            if let next = state.next, next <= moment { return isFirst ? state.sleeper : nil }
            state.next = moment
            return state.sleeper
        }
        sleeper?.cancel()
    }

    /// Watches until the task is cancelled.
    package func run(_ pool: Pool, logger: Logger) async {
        var isPool = true
        while !Task.isCancelled {
            let isBusy = state.withLock { state in
                defer { state.isBusy = false }
                return state.isBusy
            }
            var nextLook: Timestamp? = pool.clock.now() + (isBusy ? Self.busyPeriod : Self.period)
            do {
                let report = try await pool.sweep(horizon: Self.period * 2)
                isPool = true
                for failure in report.failures { logger.warning("dispatcher", metadata: ["failure": "\(failure)"]) }
                if report.isFull, report.didWork { continue }
                if let due = report.nextDue { nextLook = min(nextLook ?? due, due) }
            } catch let error as PoolError where error.code == .noSuchDatabase || error.code == .noSuchView {
                // Nobody made the pool yet: whoever does will say when something is due.
                isPool = false
            } catch {
                if Task.isCancelled { return }
                logger.warning("dispatcher can not look what is due", metadata: ["error": "\(error)"])
            }
            if !isPool { nextLook = nil }
            await sleep(until: nextLook, pool)
        }
    }

    private func sleep(until look: Timestamp?, _ pool: Pool) async {
        do { try await Task.sleep(for: Self.rest) } catch { return }
        let sleeper = state.withLock { state -> Task<Void, Never>? in
            let busyLook = state.isBusy ? pool.clock.now() + Self.busyPeriod : nil
            let moment = [state.next, look, busyLook].compactMap { $0 }.min()
            let pause = moment.map { $0 - pool.clock.now() } ?? .seconds(24 * 3600)
            guard pause > .zero else {
                state.next = nil
                return nil
            }
            let sleeper = Task {
                // Woken early, or not: then it looks.
                do { try await Task.sleep(for: pause) } catch {}
            }
            state.sleeper = sleeper
            return sleeper
        }
        guard let sleeper else { return }
        await withTaskCancellationHandler {
            await sleeper.value
        } onCancel: {
            sleeper.cancel()
        }
        state.withLock { state in
            state.sleeper = nil
            // Forgotten once it has come; what comes later was noted by the look.
            if let next = state.next, next <= pool.clock.now() { state.next = nil }
        }
    }
}
