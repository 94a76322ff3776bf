import NIOCore
import Testing

@testable import CouchServer

@Suite("The habit of a connection")
struct RequestHabitTests {
    /// Requests, each so many microseconds after the answer before, which took a millisecond.
    private func habit(_ requests: (number: Int, after: UInt64)...) -> RequestHabit {
        var habit = RequestHabit()
        var time: UInt64 = 0
        for request in requests {
            time += request.after
            habit.requested(number: request.number, at: .uptimeNanoseconds(time * 1000))
            time += 1000
            habit.answered(at: .uptimeNanoseconds(time * 1000))
        }
        return habit
    }

    @Test("is quick after four requests that came soon after the answers before them")
    func quick() {
        #expect(!habit((1, 0), (2, 100), (3, 100), (4, 100)).isQuick)
        #expect(habit((1, 0), (2, 100), (3, 100), (4, 100), (5, 100)).isQuick)
        #expect(habit((1, 0), (2, 299), (3, 299), (4, 299), (5, 299), (6, 299)).isQuick)
    }

    @Test("is lost with one request that came late, and must be shown anew")
    func late() {
        #expect(!habit((1, 0), (2, 100), (3, 100), (4, 100), (5, 100), (6, 300)).isQuick)
        #expect(!habit((1, 0), (2, 100), (3, 100), (4, 300), (5, 100), (6, 100), (7, 100)).isQuick)
        #expect(habit((1, 0), (2, 300), (3, 100), (4, 100), (5, 100), (6, 100)).isQuick)
    }

    @Test("is lost when the server has others to serve")
    func others() {
        #expect(!habit((1, 0), (2, 100), (3, 100), (4, 100), (6, 100)).isQuick)
        let alone = habit((1, 0), (2, 100), (3, 100), (4, 100), (5, 100))
        #expect(alone.isLatest(5))
        #expect(!alone.isLatest(6))
    }

    @Test("is lost when none came in time")
    func missed() {
        var habit = habit((1, 0), (2, 100), (3, 100), (4, 100), (5, 100))
        habit.missed()
        #expect(!habit.isQuick)
    }

    @Test("is nothing of requests that come before the answer")
    func pipelined() {
        var habit = RequestHabit()
        for number in 1...9 { habit.requested(number: number, at: .uptimeNanoseconds(UInt64(number))) }
        #expect(!habit.isQuick)
    }
}
