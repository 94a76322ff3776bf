import Testing

@testable import Replication

@Suite("Which replications run")
struct ReplicationScheduleTests {
    private typealias Candidate = ReplicationSchedule.Candidate

    private func continuous(_ starts: [Int]) -> [Candidate] {
        starts.map { Candidate(name: "c\($0)", isContinuous: true, lastStart: $0) }
    }

    private func passes(_ starts: [Int]) -> [Candidate] {
        starts.map { Candidate(name: "p\($0)", isContinuous: false, lastStart: $0) }
    }

    @Test("free places go to those who were started longest ago, new ones first")
    func starts() {
        let schedule = ReplicationSchedule(mostJobs: 3)
        #expect(schedule.starts(waiting: continuous([5, 0, 2]), running: 1) == ["c0", "c2"])
        #expect(schedule.starts(waiting: continuous([5, 0, 2]), running: 0) == ["c0", "c2", "c5"])
        #expect(schedule.starts(waiting: continuous([5]), running: 3).isEmpty)
        #expect(ReplicationSchedule(mostJobs: 0).starts(waiting: continuous([1]), running: 0).isEmpty)
    }

    @Test("continuous ones make room for as many as wait and have no free place, no more than the churn, oldest first")
    func rotation() {
        let schedule = ReplicationSchedule(mostJobs: 4, mostChurn: 2)
        #expect(schedule.stops(running: continuous([4, 1, 3, 2]), waiting: 9) == ["c1", "c2"])
        #expect(schedule.stops(running: continuous([4, 1, 3, 2]), waiting: 1) == ["c1"])
        #expect(schedule.stops(running: continuous([4, 1, 3, 2]), waiting: 0).isEmpty)
        #expect(schedule.stops(running: continuous([4, 1]), waiting: 3) == ["c1"])
        #expect(schedule.stops(running: continuous([4, 1]), waiting: 2).isEmpty)
    }

    @Test("a single pass is let finish, unless there are too many runs and no continuous one is left to stop")
    func singlePasses() {
        let full = ReplicationSchedule(mostJobs: 3)
        #expect(full.stops(running: passes([1, 2]) + continuous([3]), waiting: 5) == ["c3"])
        #expect(full.stops(running: passes([1, 2, 3]), waiting: 5).isEmpty)
        let lowered = ReplicationSchedule(mostJobs: 1, mostChurn: 1)
        #expect(lowered.stops(running: passes([1, 2]) + continuous([3, 4]), waiting: 5) == ["c3", "c4", "p1"])
        #expect(ReplicationSchedule(mostJobs: 0).stops(running: continuous([1, 2]), waiting: 0) == ["c1", "c2"])
    }
}
