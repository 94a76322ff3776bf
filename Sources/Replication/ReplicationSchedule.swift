/// Which replications run when there are more than may run at once. CouchDB 3.5's way (its `couch_replicator_scheduler`):
/// who stands least far back by ``ReplicationShares`` goes first, among equals who waited longest since the last start; and
/// in every interval some continuous ones make room.
package struct ReplicationSchedule: Sendable {
    /// How many run at once (`replicator/max_jobs`).
    package var mostJobs: Int
    /// How many make room in one interval (`replicator/max_churn`).
    package var mostChurn: Int
    /// Between two rotations (`replicator/interval`).
    package var interval: Duration
    /// What a job remembers of itself (`replicator/max_history`).
    package var longestHistory: Int
    package var shares: ReplicationShares.Rules
    package var retry: ReplicationRetry

    package init(
        mostJobs: Int = 500, mostChurn: Int = 20, interval: Duration = .seconds(60), longestHistory: Int = 20,
        shares: ReplicationShares.Rules = .init(), retry: ReplicationRetry = .init()
    ) {
        self.mostJobs = mostJobs
        self.mostChurn = mostChurn
        self.interval = interval
        self.longestHistory = longestHistory
        self.shares = shares
        self.retry = retry
    }

    /// A replication that runs or could.
    struct Candidate: Sendable {
        let name: String
        let isContinuous: Bool
        /// How far it stands back.
        var priority = 0.0
        /// Counts the starts of all; 0: was never started.
        let lastStart: Int
    }

    /// Who is to be started now.
    func starts(waiting: [Candidate], running: Int) -> [String] {
        let room = mostJobs - running
        guard room > 0 else { return [] }
        return Self.names(waiting, most: room) {
            ($0.priority, $0.lastStart, $0.name) < ($1.priority, $1.lastStart, $1.name)
        }
    }

    /// Who is to be stopped in this interval, so that others can run: those who are too many, and then continuous ones
    /// for whom somebody waits. A single pass is let finish.
    func stops(running: [Candidate], waiting: Int) -> [String] {
        let continuous = running.filter(\.isContinuous)
        let excess = running.count - mostJobs
        if excess > 0 {
            let stopped = Self.last(continuous, most: excess)
            let passes = running.filter { !$0.isContinuous }
            return stopped + Self.last(passes, most: excess - stopped.count)
        }
        // Not for those who have a free place.
        return Self.last(continuous, most: min(waiting + excess, mostChurn))
    }

    /// Those who stand furthest back, among equals the ones that were started longest ago.
    private static func last(_ candidates: [Candidate], most: Int) -> [String] {
        names(candidates, most: most) { (-$0.priority, $0.lastStart, $0.name) < (-$1.priority, $1.lastStart, $1.name) }
    }

    private static func names(
        _ candidates: [Candidate], most: Int, by isBefore: (Candidate, Candidate) -> Bool
    ) -> [String] {
        guard most > 0 else { return [] }
        return candidates.sorted(by: isBefore).prefix(most).map(\.name)
    }
}
