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
        #expect(habit((1, 0), (2, 249), (3, 249), (4, 249), (5, 249), (6, 249)).isQuick)
    }

    @Test("is lost with one request that came late, and must be shown anew")
    func late() {
        #expect(!habit((1, 0), (2, 100), (3, 100), (4, 100), (5, 100), (6, 250)).isQuick)
        #expect(!habit((1, 0), (2, 100), (3, 100), (4, 250), (5, 100), (6, 100), (7, 100)).isQuick)
        #expect(habit((1, 0), (2, 250), (3, 100), (4, 100), (5, 100), (6, 100)).isQuick)
    }

    @Test("is lost when the server has others to serve")
    func others() {
        #expect(!habit((1, 0), (2, 100), (3, 100), (4, 100), (6, 100)).isQuick)
        let alone = habit((1, 0), (2, 100), (3, 100), (4, 100), (5, 100))
        #expect(alone.isLatest(5))
        #expect(!alone.isLatest(6))
    }

    @Test("is lost when none came in time, and harder to show each time; each that came makes it easier")
    func missed() {
        var habit = RequestHabit()
        var number = 0
        /// Requests until it is quick.
        func proof() -> Int {
            let start = number
            while !habit.isQuick {
                number += 1
                habit.requested(number: number, at: .uptimeNanoseconds(UInt64(number)))
                habit.answered(at: .uptimeNanoseconds(UInt64(number)))
            }
            return number - start
        }
        #expect(proof() == 5)
        for expected in [8, 16, 32, 64, 64] {
            habit.missed()
            #expect(!habit.isQuick)
            #expect(proof() == expected)
        }
        for _ in 0..<3 { habit.met() }
        habit.missed()
        #expect(proof() == 16)
        habit.gaveWay()
        #expect(proof() == 16)
    }

    @Test("is nothing of requests that come before the answer")
    func pipelined() {
        var habit = RequestHabit()
        for number in 1...9 { habit.requested(number: number, at: .uptimeNanoseconds(UInt64(number))) }
        #expect(!habit.isQuick)
    }
}
