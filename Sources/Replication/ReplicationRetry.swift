/// When a replication that failed is tried again, as CouchDB 3.5 does (its `couch_replicator_scheduler`).
package struct ReplicationRetry: Sendable {
    /// After the first error in a row; it doubles with each further one.
    package var firstPause: Duration
    package var longestPause: Duration
    /// A run that lasted longer was well: its end is no error in a row, and the next run begins at once
    /// (`replicator/health_threshold`).
    package var health: Duration

    package init(
        firstPause: Duration = .seconds(30), longestPause: Duration = .seconds(30 << 10),
        health: Duration = .seconds(120)
    ) {
        self.firstPause = firstPause
        self.longestPause = longestPause
        self.health = health
    }

    /// - Parameter errors: How many there were in a row.
    func pause(after errors: Int) -> Duration {
        errors > 0 ? min(firstPause * (1 << min(errors - 1, 20)), longestPause) : .zero
    }
}
