import Logging
import ServiceLifecycle

/// Follows the databases of replications while the server serves, and ends all replications in order before it stops.
package struct ReplicationService: Service {
    let replicator: Replicator
    /// Answers once the server can be reached.
    let access: @Sendable () async throws -> LocalAccess

    package init(replicator: Replicator, access: @escaping @Sendable () async throws -> LocalAccess) {
        self.replicator = replicator
        self.access = access
    }

    package func run() async throws {
        try await cancelWhenGracefulShutdown {
            do {
                await replicator.begin(try await access())
                async let rotation: Void = replicator.rotate()
                try await replicator.followDocuments()
                await rotation
            } catch is CancellationError {
                // Told to stop before the server served.
            }
        }
        await replicator.stop()
    }
}
