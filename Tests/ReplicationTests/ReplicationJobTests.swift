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
    private let schedule = ReplicationSchedule()

    @Test("the pause is half a minute, doubles with each error in a row, and ends at eight and a half hours")
    func backOff() throws {
        var job = try job()
        var pauses: [Duration] = []
        for _ in 0..<12 {
            _ = job.handle(.started, at: UTCTime(seconds: 1), schedule)
            let action = job.handle(.crashed(failure, after: .seconds(1)), at: UTCTime(seconds: 2), schedule)
            guard case .retry(let pause) = action else { return }
            pauses.append(pause)
        }
        #expect(pauses.prefix(4) == [.seconds(30), .seconds(60), .seconds(120), .seconds(240)])
        #expect(pauses.suffix(2) == [.seconds(30_720), .seconds(30_720)])
        #expect(job.errorCount == 12)
        #expect(job.state == .crashing)
        #expect(job.history.count == 20)
        #expect(job.history[0].type == "crashed")
    }

    @Test("after a run that was well for long the next one begins at once, and its error is the first again")
    func recovers() throws {
        var job = try job()
        for _ in 0..<5 { _ = job.handle(.crashed(failure, after: .seconds(120)), at: UTCTime(seconds: 1), schedule) }
        #expect(job.errorCount == 5)
        let action = job.handle(.crashed(failure, after: .seconds(121)), at: UTCTime(seconds: 2), schedule)
        #expect(action == .retry(after: .zero))
        #expect(job.errorCount == 0)
        #expect(job.state == .crashing)
        let next = job.handle(.crashed(failure, after: .zero), at: UTCTime(seconds: 3), schedule)
        #expect(next == .retry(after: .seconds(30)))
    }

    @Test("who made room for others has no error left")
    func stopped() throws {
        var job = try job()
        _ = job.handle(.crashed(failure, after: .zero), at: UTCTime(seconds: 1), schedule)
        _ = job.handle(.started, at: UTCTime(seconds: 2), schedule)
        _ = job.handle(.stopped, at: UTCTime(seconds: 3), schedule)
        #expect(job.state == .pending)
        #expect(job.errorCount == 0)
    }

    @Test("as much is remembered as is set")
    func history() throws {
        var job = try job()
        let short = ReplicationSchedule(longestHistory: 3)
        for _ in 0..<4 { _ = job.handle(.started, at: UTCTime(seconds: 1), short) }
        #expect(job.history.map(\.type) == ["started", "started", "started"])
    }

    @Test("what is through has no error left")
    func completed() throws {
        var job = try job()
        _ = job.handle(.crashed(failure, after: .zero), at: UTCTime(seconds: 1), schedule)
        #expect(job.handle(.completed, at: UTCTime(seconds: 2), schedule) == .none)
        #expect(job.state == .completed)
        #expect(job.errorCount == 0)
        #expect(job.lastError == nil)
    }
}
