import NIOCore
import Testing

@testable import CouchServer

@Suite("The pace of a connection")
struct ConnectionPaceTests {
    private let limits = ConnectionPace.Limits(
        head: .seconds(10), body: .seconds(20), answer: .seconds(30), farewell: .seconds(5))

    private func at(_ seconds: UInt64) -> NIODeadline { .uptimeNanoseconds(seconds * 1_000_000_000) }

    private func pace(_ events: (ConnectionPace.Event, UInt64)...) -> ConnectionPace {
        var pace = ConnectionPace(limits: limits)
        for (event, second) in events { pace.handle(event, at: at(second)) }
        return pace
    }

    @Test("a new connection has the time of a head to begin, however its bytes trickle")
    func head() {
        let silent = pace((.opened, 100), (.reading, 100))
        #expect(!silent.isOver(at: at(110)))
        #expect(silent.isOver(at: at(111)))
        let trickling = pace(
            (.opened, 100), (.reading, 100), (.received, 105), (.reading, 105), (.received, 109), (.reading, 109))
        #expect(!trickling.isOver(at: at(110)))
        #expect(trickling.isOver(at: at(111)))
    }

    @Test("between two requests nothing is asked of a client, until it begins the next")
    func idle() {
        var kept = pace(
            (.opened, 0), (.reading, 0), (.requestBegan, 1), (.requestEnded, 1), (.received, 1), (.reading, 1))
        #expect(!kept.isOver(at: at(5000)))
        kept.handle(.received, at: at(5000))
        kept.handle(.reading, at: at(5000))
        #expect(!kept.isOver(at: at(5010)))
        #expect(kept.isOver(at: at(5011)))
    }

    @Test("a body may pause while the server does not read it, but not while the server waits")
    func body() {
        let refused = pace((.opened, 0), (.reading, 0), (.requestBegan, 1), (.received, 1))
        #expect(!refused.isOver(at: at(5000)))
        let stalled = pace((.opened, 0), (.reading, 0), (.requestBegan, 1), (.received, 1), (.reading, 100))
        #expect(!stalled.isOver(at: at(120)))
        #expect(stalled.isOver(at: at(121)))
    }

    @Test("a client that takes nothing is over, one that takes a little goes on")
    func answer() {
        #expect(pace((.opened, 0), (.jammed, 10)).isOver(at: at(41)))
        let slow = pace((.opened, 0), (.requestEnded, 1), (.jammed, 10), (.flowing, 39), (.jammed, 39))
        #expect(!slow.isOver(at: at(69)))
        #expect(slow.isOver(at: at(70)))
    }

    @Test("after the last answer there is a little time to leave, and nothing prolongs it")
    func farewell() {
        var last = pace((.opened, 0), (.requestBegan, 1), (.finished, 10), (.requestContinued, 14), (.reading, 14))
        last.handle(.requestEnded, at: at(15))
        #expect(!last.isOver(at: at(15)))
        #expect(last.isOver(at: at(16)))
    }
}
