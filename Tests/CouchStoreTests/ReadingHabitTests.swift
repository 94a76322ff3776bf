import CouchDocument
import Testing

@testable import CouchStore

@Suite("The habit of readers")
struct ReadingHabitTests {
    /// What each write was told, of a row of writes (w) and reads (r).
    private func answers(_ row: String) -> [Bool] {
        var habit = ReadingHabit()
        var answers: [Bool] = []
        for step in row { if step == "r" { habit.read() } else { answers.append(habit.written()) } }
        return answers
    }

    @Test("is shown by four writes that a reader followed, however often it read")
    func shown() {
        #expect(answers("wrwrwrww") == [false, false, false, false, false])
        #expect(answers("wrwrwrwrw").last == true)
        #expect(answers("rrwrrwrwrrrwrrw").last == true)
    }

    @Test("is lost when two writes come in a row, and must be shown anew")
    func lost() {
        #expect(answers("wrwrwrwrww").suffix(2) == [true, false])
        #expect(answers("wrwrwrwrwwrwrwrw").suffix(4) == [false, false, false, false])
        #expect(answers("wrwrwrwrwwrwrwrwrwrw").last == true)
    }
}
