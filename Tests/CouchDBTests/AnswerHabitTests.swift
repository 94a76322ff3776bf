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
        #expect(habit(100, 399, 100, 100).isQuick)
        #expect(!habit(100, 100, 100, 100, 400).isQuick)
        #expect(habit(400, 100, 100, 100, 100, 100).isQuick)
    }

    @Test("is lost after one look in vain, and must be shown anew")
    func missed() {
        var habit = habit(100, 100, 100, 100)
        habit.missed()
        #expect(!habit.isQuick)
        for _ in 0..<3 { habit.slept(.microseconds(100)) }
        #expect(!habit.isQuick)
        habit.slept(.microseconds(100))
        #expect(habit.isQuick)
    }
}
