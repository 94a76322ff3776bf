import CouchDocument
import Testing

@testable import Replication

@Suite("The life of a replication between its runs")
struct ReplicationJobTests {
    private func job() throws -> ReplicationJob {
        ReplicationJob(
            name: "x", request: try ReplicationRequest(["source": "a", "target": "b"]),
            origin: .document(ReplicatorDocument(database: "_replicator", id: "d")),
            account: ReplicationAccount(name: "me", roles: []), at: UTCTime(seconds: 0))
    }
    private let failure = ReplicationError("econnrefused", "nobody there")

    @Test("the pause doubles with each error in a row, up to ten minutes")
    func backOff() throws {
        var job = try job()
        var pauses: [Duration] = []
        for _ in 0..<12 {
            _ = job.handle(.started, at: UTCTime(seconds: 1))
            guard case .retry(let pause) = job.handle(.crashed(failure, after: .seconds(1)), at: UTCTime(seconds: 2))
            else { return }
            pauses.append(pause)
        }
        #expect(pauses.prefix(4) == [.seconds(1), .seconds(2), .seconds(4), .seconds(8)])
        #expect(pauses.last == .seconds(600))
        #expect(job.errorCount == 12)
        #expect(job.state == .crashing)
        #expect(job.history.count == 20)
        #expect(job.history[0].type == "crashed")
    }

    @Test("after a run that was well for long, an error is the first again")
    func recovers() throws {
        var job = try job()
        for _ in 0..<5 { _ = job.handle(.crashed(failure, after: .zero), at: UTCTime(seconds: 1)) }
        let action = job.handle(.crashed(failure, after: .seconds(3600)), at: UTCTime(seconds: 2))
        #expect(action == .retry(after: .seconds(1)))
        #expect(job.errorCount == 1)
    }

    @Test("what is through has no error left")
    func completed() throws {
        var job = try job()
        _ = job.handle(.crashed(failure, after: .zero), at: UTCTime(seconds: 1))
        #expect(job.handle(.completed, at: UTCTime(seconds: 2)) == .none)
        #expect(job.state == .completed)
        #expect(job.errorCount == 0)
        #expect(job.lastError == nil)
    }
}
