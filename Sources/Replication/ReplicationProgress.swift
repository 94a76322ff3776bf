import CouchDocument
import Synchronization

/// How far a replication has come, for the pages that tell of it while it runs.
final class ReplicationProgress: Sendable {
    struct State: Sendable {
        var statistics = ReplicationStatistics()
        /// The last sequence that the source told.
        var source: String?
        /// Up to here all is on the target.
        var through: String?
        /// Up to here it is remembered.
        var checkpointed: String?
        var pending: Int?
        var updated: UTCTime
    }

    /// Protects what one run writes and the pages read.
    private let state: Mutex<State>
    private let clock: @Sendable () -> Int

    init(clock: @escaping @Sendable () -> Int) {
        self.clock = clock
        state = Mutex(State(updated: UTCTime(seconds: clock())))
    }

    var current: State { state.withLock { $0 } }
    var now: UTCTime { UTCTime(seconds: clock()) }

    func update(_ change: (inout State) -> Void) {
        let now = now
        state.withLock {
            change(&$0)
            $0.updated = now
        }
    }

    func add(_ statistics: ReplicationStatistics) { update { $0.statistics += statistics } }

    /// As in `_scheduler`.
    var info: JSONObject {
        let state = current
        var members = state.statistics.infoMembers
        members["changes_pending"] = state.pending.map(JSON.integer) ?? .null
        members["checkpointed_source_seq"] = Checkpoint.json(state.checkpointed)
        members["source_seq"] = Checkpoint.json(state.source)
        members["through_seq"] = Checkpoint.json(state.through)
        return members
    }
}
