import CouchDocument
import Testing
import TokenPool

@Suite("The state of a token")
struct TokenStateTests {
    @Test(
        "lock, done and exit_code say it, as JavaScript views compare them",
        arguments: [
            ("0", "0", "\"\"", TokenState.todo), ("0.0", "0", "null", .todo), ("\"\"", "false", "0", .todo),
            ("-2", "0", "\"\"", .waiting), ("1700000000", "0", "\"\"", .locked), ("99", "0", "\"\"", .locked),
            ("-1", "0", "\"\"", .error), ("1700000000", "1700000009", "0", .done),
            ("1700000000", "1700000009", "\"0 ok\"", .done), ("0", "1700000009", "0", .done),
            ("1700000000", "1700000009", "\"\"", .error), ("1700000000", "1700000009", "null", .error),
            ("1700000000", "1700000009", "1", .error), ("1700000000", "1700000009", "-9", .error),
            ("99", "99", "0", .error), ("-1", "-1", "\"\"", .error), ("null", "0", "\"\"", .error),
        ])
    func states(lock: String, done: String, exitCode: String, expected: TokenState) throws {
        let state = try TokenState(
            lock: JSON(parsing: lock), done: JSON(parsing: done), exitCode: JSON(parsing: exitCode))
        #expect(state == expected)
    }

    @Test("a document without lock or done can not be claimed")
    func missing() {
        #expect(TokenState(lock: nil, done: 0, exitCode: nil) == .error)
        #expect(TokenState(lock: 0, done: nil, exitCode: nil) == .error)
    }
}

@Suite("Times")
struct TimestampTests {
    @Test("whole seconds are written as integers, others with their milliseconds")
    func json() {
        #expect(Timestamp(seconds: 1_700_000_000).json == 1_700_000_000)
        #expect(Timestamp(milliseconds: 1_700_000_000_250).json.description == "1700000000.25")
        #expect(Timestamp(Timestamp(milliseconds: 1_700_000_000_250).json)?.milliseconds == 1_700_000_000_250)
    }

    @Test("seconds are cut, not rounded, on both sides of 1970")
    func seconds() {
        #expect(Timestamp(milliseconds: 1999).seconds == 1)
        #expect(Timestamp(milliseconds: -1).seconds == -1)
    }
}
