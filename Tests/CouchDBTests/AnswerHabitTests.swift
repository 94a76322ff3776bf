import Testing

@testable import CouchDB

@Suite("The habit of a server")
struct AnswerHabitTests {
    private func habit(_ sleeps: Int...) -> AnswerHabit {
        var habit = AnswerHabit()
        for sleep in sleeps { habit.slept(.microseconds(sleep)) }
        return habit
    }

    @Test("is quick after four short waits in a row")
    func quick() {
        #expect(!habit(100, 100, 100).isQuick)
        #expect(habit(100, 299, 100, 100).isQuick)
        #expect(!habit(100, 100, 100, 100, 300).isQuick)
        #expect(habit(300, 100, 100, 100, 100, 100).isQuick)
    }

    @Test("is lost after one wait in vain, and harder to show each time; each good one makes it easier")
    func missed() {
        var habit = AnswerHabit()
        /// Sleeps until it is quick.
        func proof() -> Int {
            var count = 0
            while !habit.isQuick {
                habit.slept(.microseconds(100))
                count += 1
            }
            return count
        }
        #expect(proof() == 4)
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
}
