/// Which replications run when there are more than may run at once. CouchDB 3.5's way (its `couch_replicator_scheduler`):
/// who waited longest since the last start goes first, and in every interval some continuous ones make room.
package struct ReplicationSchedule: Sendable {
    /// How many run at once (`replicator/max_jobs`).
    package var mostJobs: Int
    /// How many make room in one interval (`replicator/max_churn`).
    package var mostChurn: Int
    /// Between two rotations (`replicator/interval`).
    package var interval: Duration

    package init(mostJobs: Int = 500, mostChurn: Int = 20, interval: Duration = .seconds(60)) {
        self.mostJobs = mostJobs
        self.mostChurn = mostChurn
        self.interval = interval
    }

    /// A replication that runs or could.
    struct Candidate: Sendable {
        let name: String
        let isContinuous: Bool
        /// Counts the starts of all; 0: was never started.
        let lastStart: Int
    }

    /// Who is to be started now.
    func starts(waiting: [Candidate], running: Int) -> [String] {
        let room = mostJobs - running
        guard room > 0 else { return [] }
        return Self.names(waiting, most: room)
    }

    /// Who is to be stopped in this interval, so that others can run: those who are too many, and then continuous ones
    /// for whom somebody waits. A single pass is let finish.
    func stops(running: [Candidate], waiting: Int) -> [String] {
        let continuous = running.filter(\.isContinuous)
        let excess = running.count - mostJobs
        if excess > 0 {
            let stopped = Self.names(continuous, most: excess)
            let passes = running.filter { !$0.isContinuous }
            return stopped + Self.names(passes, most: excess - stopped.count)
        }
        // Not for those who have a free place.
        return Self.names(continuous, most: min(waiting + excess, mostChurn))
    }

    /// The ones that were started longest ago.
    private static func names(_ candidates: [Candidate], most: Int) -> [String] {
        guard most > 0 else { return [] }
        return candidates.sorted { ($0.lastStart, $0.name) < ($1.lastStart, $1.name) }.prefix(most).map(\.name)
    }
}
