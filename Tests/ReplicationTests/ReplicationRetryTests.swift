import CouchDocument
import Logging
import Synchronization
import Testing

@testable import Replication

@Suite("When failed replications run again")
struct ReplicationRetryTests {
    /// Time that stands still: who sleeps is told of, and wakes when the test says so.
    private final class Stillness: Sendable {
        private let sleeps: AsyncStream<(Duration, CheckedContinuation<Void, Never>)>
        private let told: AsyncStream<(Duration, CheckedContinuation<Void, Never>)>.Continuation

        init() { (sleeps, told) = AsyncStream.makeStream() }

        var time: ReplicationTime {
            ReplicationTime(wall: { 0 }, uptime: { .zero }) { pause in
                await withCheckedContinuation { _ = self.told.yield((pause, $0)) }
                try Task.checkCancellation()
            }
        }

        /// The next pauses that somebody wanted; each is over once it is told.
        func pauses(_ count: Int) async -> [Duration] {
            var pauses: [Duration] = []
            for await (pause, sleeper) in sleeps {
                sleeper.resume()
                pauses.append(pause)
                if pauses.count == count { break }
            }
            return pauses
        }
    }

    @Test("a source that is not there is asked again after half a minute, and twice as long each time, as it is set")
    func pauses() async throws {
        for (retry, wanted) in [
            (ReplicationRetry(), [30, 60, 120]),
            (ReplicationRetry(firstPause: .seconds(2), longestPause: .seconds(3)), [2, 3, 3]),
        ] {
            let stillness = Stillness()
            let replicator = Replicator(
                nodeName: "n", logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, time: stillness.time)
            await replicator.begin(
                LocalAccess(
                    url: "http://127.0.0.1:1", uuid: "u", token: { _ in "" }, account: { _ in nil },
                    databases: { AsyncStream { $0.finish() } }, schedule: { ReplicationSchedule(retry: retry) }))
            // Nothing listens on port 1.
            let body: JSON = ["source": "http://127.0.0.1:1/a", "target": "http://127.0.0.1:1/b", "continuous": true]
            _ = try await replicator.replicate(body, for: ReplicationAccount(name: "me", roles: ["_admin"]))
            #expect(await stillness.pauses(3) == wanted.map { .seconds($0) })
            #expect(await replicator.jobPages().first?["history"]?.description.contains("econnrefused") == true)
            await replicator.stop()
        }
    }
}
