/// Time, as the replicator meets it; tests bring their own.
package struct ReplicationTime: Sendable {
    /// Seconds since 1970.
    let wall: @Sendable () -> Int
    /// Since some moment; never goes back.
    let uptime: @Sendable () -> Duration
    /// Returns after that time, or throws when the task is cancelled.
    let sleep: @Sendable (Duration) async throws -> Void

    package init(
        wall: @escaping @Sendable () -> Int, uptime: @escaping @Sendable () -> Duration,
        sleep: @escaping @Sendable (Duration) async throws -> Void
    ) {
        self.wall = wall
        self.uptime = uptime
        self.sleep = sleep
    }

    /// The machine's.
    package static func system(wall: @escaping @Sendable () -> Int) -> ReplicationTime {
        let start = ContinuousClock.now
        return ReplicationTime(
            wall: wall, uptime: { .now - start }, sleep: { try await Task.sleep(for: $0) })
    }
}
