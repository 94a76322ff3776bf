import CouchDB
import CouchDocument

/// Keeps a pool in order: lapsed leases, waiting tokens that are due, what others left half done, conflicts, vanished
/// workers.
///
/// It has no state that another needs. Run as many as you like, wherever you like: each write is on the revision that was
/// read, so whoever comes late loses it and leaves the matter.
public struct Janitor: Sendable {
    /// The pool.
    public let pool: Pool
    /// After how long tokens are taken back from workers without leases; `nil` asks the pool's own settings.
    public var takeBackAfter: Duration?
    private let tell: @Sendable (SweepReport) -> Void

    /// A janitor that has not begun.
    ///
    /// - Parameter report: Hears of every round that did something or went wrong.
    public init(
        pool: Pool, takeBackAfter: Duration? = nil, report: @escaping @Sendable (SweepReport) -> Void = { _ in }
    ) {
        self.pool = pool
        self.takeBackAfter = takeBackAfter
        tell = report
    }

    /// Does all there is to do now.
    ///
    /// - Throws: What kept a round from being done.
    @discardableResult
    public func once() async throws -> SweepReport {
        var total = SweepReport()
        let settings = try await settings()
        for round in JanitorSchedule.Round.allCases {
            var cursor: String?
            repeat {
                let report = try await perform(round, settings, &cursor)
                total.add(report)
                // What only fails or is done by others would come again for ever.
                if !(report.isFull && report.didWork) && cursor == nil { break }
            } while !Task.isCancelled
        }
        total.isFull = false
        return total
    }

    /// Keeps the pool in order until the task is cancelled, or the database or its views are gone.
    ///
    /// - Throws: ``PoolError`` when there is no such database or it has not our views.
    public func run() async throws {
        let jitter = Double.random(in: 0...1)
        var settings = try await settings()
        var schedule = JanitorSchedule(
            started: pool.clock.now(), takesBackForeign: settings.takeBackAfter != nil, jitter: jitter)
        var cursor: String?
        while !Task.isCancelled {
            let now = pool.clock.now()
            guard let round = schedule.round(now: now) else {
                do { try await Task.sleep(for: max(schedule.wake - now, .milliseconds(50))) } catch { return }
                continue
            }
            do {
                if round == .conflicts {
                    // With the rarest round, to learn of new settings without asking often.
                    let fresh = try await self.settings()
                    if (fresh.takeBackAfter == nil) != (settings.takeBackAfter == nil) {
                        schedule = JanitorSchedule(
                            started: now, takesBackForeign: fresh.takeBackAfter != nil, jitter: jitter)
                    }
                    settings = fresh
                }
                let report = try await perform(round, settings, &cursor)
                if !report.isEmpty { tell(report) }
                schedule.note(
                    round,
                    .done(
                        nextDue: report.nextDue, isFull: report.isFull && report.didWork,
                        lostRaces: report.lostRaces > 0), now: pool.clock.now())
            } catch let error as PoolError where error.code == .noSuchDatabase || error.code == .noSuchView {
                throw error
            } catch {
                if Task.isCancelled { return }
                var report = SweepReport()
                report.failures = ["\(error)"]
                tell(report)
                schedule.note(round, .failed, now: pool.clock.now())
            }
        }
    }

    private func settings() async throws -> JanitorSettings {
        var settings = try await pool.janitorSettings()
        if let takeBackAfter { settings.takeBackAfter = takeBackAfter }
        return settings
    }

    private func perform(
        _ round: JanitorSchedule.Round, _ settings: JanitorSettings, _ cursor: inout String?
    ) async throws -> SweepReport {
        switch round {
        case .due: return try await pool.sweep(horizon: JanitorSchedule.Round.due.period)
        case .dependents:
            let (report, _, next) = try await pool.releaseDependents(after: cursor)
            cursor = next
            return report
        case .foreign:
            guard let age = settings.takeBackAfter else { return SweepReport() }
            return try await pool.takeBackForeign(olderThan: age)
        case .conflicts: return try await pool.repairConflicts()
        case .projects: return try await Projects(pool).tendAll(removingAfter: settings.removeProjectsAfter)
        }
    }
}
