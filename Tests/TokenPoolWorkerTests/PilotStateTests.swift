import CouchDocument
import Testing

@testable import TokenPool
@testable import TokenPoolWorker

@Suite("What a pilot decides")
struct PilotStateTests {
    private let start = Timestamp(seconds: 1000)

    private func state(
        slots: Int = 2, condition: StopCondition = StopCondition(), timeLimit: Duration? = nil
    ) -> PilotState {
        PilotState(
            slots: slots, lease: .seconds(300), grace: .seconds(10), timeLimit: timeLimit, condition: condition,
            started: start)
    }

    private func claim(_ id: String, at time: Timestamp? = nil) -> ClaimedToken {
        let time = time ?? start
        let worker = WorkerIdentity(name: "w", hostname: "h")
        let lease = Lease(id: "l-\(id)", worker: "w", since: time.seconds, until: time + .seconds(300))
        var token = Token(id: id)
        token.claim(lease: lease, by: worker)
        return ClaimedToken(token: token, lease: lease, worker: worker)
    }

    private func runs(_ actions: [PilotState.Action]) -> [String] {
        actions.compactMap { if case .run(let claim) = $0 { claim.token.id } else { nil } }
    }
    private func prepares(_ actions: [PilotState.Action]) -> [String] {
        actions.flatMap { if case .prepare(let claims) = $0 { claims.map(\.token.id) } else { [String]() } }
    }
    private func claims(_ actions: [PilotState.Action]) -> [Int] {
        actions.compactMap { if case .claim(let count) = $0 { count } else { nil } }
    }

    @Test("claims for all free slots at once and runs what it got")
    func begins() {
        var state = state(slots: 4)
        #expect(state.handle(.tick, now: start) == [.claim(4)])
        let actions = state.handle(.claimed([claim("a"), claim("b")]), now: start)
        #expect(runs(actions) == ["a", "b"])
        #expect(claims(actions) == [2])
    }

    @Test("does not take the pool for empty because a claim brought nothing that was begun when there was less room")
    func emptyClaimBeforeAnEnd() {
        var state = PilotState(
            slots: 2, lease: .seconds(300), grace: .seconds(10), condition: StopCondition(), started: start,
            offer: Offer(cores: 2))
        _ = state.handle(.tick, now: start)
        let begun = state.handle(.claimed([claim("a"), claim("b")]), now: start)
        #expect(runs(begun) == ["a", "b"])
        // Commands of a millisecond: more is wanted while both run.
        _ = state.handle(.ended(lease: "l-a"), now: start + .milliseconds(1))
        #expect(claims(state.handle(.tick, now: start + .milliseconds(1))).count <= 1)
        _ = state.handle(.ended(lease: "l-b"), now: start + .milliseconds(2))
        _ = state.handle(.reported(lease: "l-a", retryAt: nil), now: start + .milliseconds(3))
        _ = state.handle(.reported(lease: "l-b", retryAt: nil), now: start + .milliseconds(3))
        // The claim that was under way all the time found nothing that fitted.
        let actions = state.handle(.claimed([]), now: start + .milliseconds(4))
        #expect(!actions.contains(.finish) && !actions.contains(.sweep))
        #expect(claims(actions).count == 1)
        #expect(state.handle(.claimed([]), now: start + .milliseconds(5)) == [.sweep])
        #expect(state.handle(.swept(freed: false), now: start + .milliseconds(6)).contains(.finish))
    }

    @Test("wants tokens that require nothing ahead of the room for them, but none beside those that require much")
    func ahead() {
        var state = PilotState(
            slots: 2, lease: .seconds(300), grace: .seconds(10), condition: StopCondition(), started: start,
            offer: Offer(cores: 2))
        #expect(state.ahead(of: 2) == 0)
        _ = state.handle(.tick, now: start)
        _ = state.handle(.claimed([claim("a"), claim("b")]), now: start)
        #expect(state.ahead(of: 5) == 5)
        var large = claim("c")
        large.token.pool.requires = ["cores": 1]
        _ = state.handle(.ended(lease: "l-a"), now: start + .seconds(1))
        _ = state.handle(.claimed([large]), now: start + .seconds(1))
        #expect(state.ahead(of: 5) == 0)
    }

    @Test("has the next tokens prepared while all slots are busy, and none that needs files")
    func prepares() {
        var state = state(slots: 1)
        _ = state.handle(.tick, now: start)
        var bundled = claim("bundled")
        bundled.token.pool.sandbox = ["folder": "/somewhere"]
        let actions = state.handle(.claimed([claim("a"), claim("b"), bundled, claim("c")]), now: start)
        #expect(runs(actions) == ["a"])
        #expect(prepares(actions) == ["b", "c"])
        // While a folder is being made nobody starts in it; the one that is prepared in its own time goes first.
        #expect(runs(state.handle(.ended(lease: "l-a"), now: start)) == ["bundled"])
        _ = state.handle(.prepared(leases: ["l-b"], failed: ["l-c"]), now: start)
        #expect(runs(state.handle(.ended(lease: "l-bundled"), now: start)) == ["b"])
        #expect(runs(state.handle(.ended(lease: "l-b"), now: start)) == ["c"])
    }

    @Test("goes on with what a slot began by itself: its lease is renewed, its time is limited, its end counts once")
    func succession() {
        var state = state(slots: 1, timeLimit: .seconds(500))
        _ = state.handle(.tick, now: start)
        _ = state.handle(.claimed([claim("a"), claim("b")]), now: start)
        _ = state.handle(.prepared(leases: ["l-b"], failed: []), now: start)
        let later = start + .seconds(99)
        #expect(runs(state.handle(.succeeded(lease: "l-a", begun: claim("b")), now: later)).isEmpty)
        #expect(state.runningTokens.map(\.token.id) == ["b"])
        #expect(state.handle(.tick, now: start + .seconds(100)).contains(.renew([claim("b")])))
        _ = state.handle(.renewed(lease: "l-b", claim("b", at: start + .seconds(600))), now: start + .seconds(101))
        #expect(
            state.handle(.tick, now: later + .seconds(500)).contains(
                .terminate(lease: "l-b", .timeLimit(.seconds(500)))))
    }

    @Test("what a slot began before it was withdrawn is ended softly")
    func begunWhileStopping() {
        var state = state(slots: 1)
        _ = state.handle(.tick, now: start)
        _ = state.handle(.claimed([claim("a"), claim("b")]), now: start)
        _ = state.handle(.prepared(leases: ["l-b"], failed: []), now: start)
        _ = state.handle(.stop, now: start)
        #expect(
            state.handle(.succeeded(lease: "l-a", begun: claim("b")), now: start) == [
                .terminate(lease: "l-b", .pilotEnds)
            ])
        #expect(!state.handle(.reported(lease: "l-a", retryAt: nil), now: start).contains(.finish))
        _ = state.handle(.handedBack, now: start)
        _ = state.handle(.ended(lease: "l-b"), now: start)
        #expect(state.handle(.reported(lease: "l-b", retryAt: nil), now: start) == [.finish])
    }

    @Test("a prepared token whose lease is lost or over is dropped, and one that was not started in time goes back")
    func dropsPrepared() {
        var lost = state(slots: 1)
        _ = lost.handle(.tick, now: start)
        _ = lost.handle(.claimed([claim("a"), claim("b")]), now: start)
        #expect(lost.handle(.lost(lease: "l-b"), now: start).contains(.drop(lease: "l-b")))

        var over = state(slots: 1)
        _ = over.handle(.tick, now: start)
        _ = over.handle(.claimed([claim("a"), claim("b")]), now: start)
        #expect(over.handle(.tick, now: start + .seconds(301)).contains(.drop(lease: "l-b")))

        var late = state(slots: 1, condition: StopCondition(maxTime: .seconds(60)))
        _ = late.handle(.tick, now: start)
        _ = late.handle(.claimed([claim("a"), claim("b")]), now: start)
        let actions = late.handle(.ended(lease: "l-a"), now: start + .seconds(60))
        #expect(actions.contains(.handBack([claim("b")])))
        #expect(runs(actions).isEmpty)
    }

    @Test("prepares no more than it can use soon, however many tokens it holds")
    func boundedPreparation() {
        var state = state(slots: 2)
        _ = state.handle(.tick, now: start)
        let all = (0..<60).map { claim("t\($0)") }
        let first = prepares(state.handle(.claimed(all), now: start))
        #expect(first.count == 10)
        #expect(prepares(state.handle(.prepared(leases: first.map { "l-" + $0 }, failed: []), now: start)).isEmpty)
        var more: [String] = []
        for number in 0..<5 {
            more += prepares(
                state.handle(.succeeded(lease: "l-t\(number)", begun: claim("t\(number + 2)")), now: start))
        }
        #expect(more == (12..<17).map { "t\($0)" })
    }

    @Test("has one claim under way at a time")
    func oneClaim() {
        var state = state()
        _ = state.handle(.tick, now: start)
        #expect(state.handle(.tick, now: start + .seconds(1)).isEmpty)
    }

    @Test("ends when the pool is empty, a sweep found nothing, and nothing is held")
    func ends() {
        var state = state(slots: 1)
        _ = state.handle(.tick, now: start)
        _ = state.handle(.claimed([claim("a")]), now: start)
        _ = state.handle(.ended(lease: "l-a"), now: start + .seconds(5))
        let actions = state.handle(.claimed([]), now: start + .seconds(5))
        #expect(actions == [.sweep])
        #expect(!state.handle(.swept(freed: false), now: start + .seconds(5)).contains(.finish))
        #expect(state.handle(.reported(lease: "l-a", retryAt: nil), now: start + .seconds(6)).contains(.finish))
    }

    @Test("goes on when the sweep brought something back")
    func sweepFreed() {
        var state = state(slots: 1)
        _ = state.handle(.tick, now: start)
        _ = state.handle(.claimed([]), now: start)
        #expect(claims(state.handle(.swept(freed: true), now: start)) == [1])
    }

    @Test("with waits it asks again after a growing pause, and at once when something changed")
    func waits() {
        var state = state(slots: 1, condition: StopCondition(waits: true))
        _ = state.handle(.tick, now: start)
        _ = state.handle(.claimed([]), now: start)
        _ = state.handle(.swept(freed: false), now: start)
        #expect(state.handle(.tick, now: start + .milliseconds(20)).isEmpty)
        #expect(claims(state.handle(.tick, now: start + .milliseconds(60))) == [1])
        _ = state.handle(.claimed([]), now: start + .milliseconds(70))
        _ = state.handle(.poolChanged, now: start + .milliseconds(71))
        #expect(claims(state.handle(.tick, now: start + .milliseconds(120))) == [1])
    }

    @Test("told of changes, it leaves an empty pool alone, but not one whose tokens are only not for it now")
    func leavesAnEmptyPoolAlone() {
        for (event, asksSoon) in [(PilotState.Event.foundEmpty, false), (.claimed([]), true)] {
            var state = state(slots: 1, condition: StopCondition(waits: true))
            _ = state.handle(.tick, now: start)
            _ = state.handle(.watching(true), now: start)
            _ = state.handle(event, now: start)
            _ = state.handle(.swept(freed: false), now: start)
            #expect(claims(state.handle(.tick, now: start + .seconds(30))).isEmpty != asksSoon)
            _ = state.handle(event, now: start + .seconds(30))
            let told = claims(state.handle(.poolChanged, now: start + .seconds(40)))
            #expect(told + claims(state.handle(.tick, now: start + .seconds(42))) == [1])
        }
    }

    @Test("takes no more than the tokens it may, and none after its time")
    func limits() {
        var state = state(slots: 4, condition: StopCondition(maxTokens: 3))
        #expect(state.handle(.tick, now: start) == [.claim(3)])
        let actions = state.handle(.claimed([claim("a"), claim("b"), claim("c")]), now: start)
        #expect(claims(actions).isEmpty)
        for id in ["a", "b", "c"] {
            _ = state.handle(.ended(lease: "l-\(id)"), now: start)
        }
        _ = state.handle(.reported(lease: "l-a", retryAt: nil), now: start)
        _ = state.handle(.reported(lease: "l-b", retryAt: nil), now: start)
        #expect(state.handle(.reported(lease: "l-c", retryAt: nil), now: start).contains(.finish))

        var timed = self.state(slots: 1, condition: StopCondition(maxTime: .seconds(60), waits: true))
        _ = timed.handle(.tick, now: start)
        _ = timed.handle(.claimed([]), now: start)
        _ = timed.handle(.swept(freed: false), now: start)
        #expect(timed.handle(.tick, now: start + .seconds(60)).contains(.finish))
    }

    @Test("waits for its own tokens that are to be tried again later")
    func retryLater() {
        var state = state(slots: 1)
        _ = state.handle(.tick, now: start)
        _ = state.handle(.claimed([claim("a")]), now: start)
        _ = state.handle(.ended(lease: "l-a"), now: start)
        _ = state.handle(.claimed([]), now: start)
        _ = state.handle(.swept(freed: false), now: start)
        #expect(!state.handle(.reported(lease: "l-a", retryAt: start + .seconds(2)), now: start).contains(.finish))
        let later = start + .seconds(2)
        #expect(state.handle(.tick, now: later).contains(.sweep))
        #expect(!state.handle(.swept(freed: true), now: later).contains(.finish))
    }

    @Test("renews after a third of the lease, all tokens together")
    func renews() {
        var state = state(slots: 2)
        _ = state.handle(.tick, now: start)
        _ = state.handle(.claimed([claim("a"), claim("b")]), now: start)
        #expect(
            !state.handle(.tick, now: start + .seconds(99)).contains { if case .renew = $0 { true } else { false } })
        let renewals = state.handle(.tick, now: start + .seconds(100)).compactMap { action -> [String]? in
            if case .renew(let claims) = action { claims.map(\.token.id).sorted() } else { nil }
        }
        #expect(renewals == [["a", "b"]])
    }

    @Test("a lease that is lost ends the command at once")
    func loses() {
        var state = state(slots: 1)
        _ = state.handle(.tick, now: start)
        _ = state.handle(.claimed([claim("a")]), now: start)
        let actions = state.handle(.lost(lease: "l-a"), now: start + .seconds(1))
        #expect(actions.prefix(2) == [.terminate(lease: "l-a", .leaseLost), .kill(lease: "l-a")])
    }

    @Test("a time limit ends the command softly, after the grace hard")
    func timeLimit() {
        var state = state(slots: 1, timeLimit: .seconds(15))
        _ = state.handle(.tick, now: start)
        _ = state.handle(.claimed([claim("a")]), now: start)
        #expect(state.handle(.tick, now: start + .seconds(14)).isEmpty)
        #expect(
            state.handle(.tick, now: start + .seconds(15)) == [.terminate(lease: "l-a", .timeLimit(.seconds(15)))])
        #expect(state.handle(.tick, now: start + .seconds(24)).isEmpty)
        #expect(state.handle(.tick, now: start + .seconds(25)) == [.kill(lease: "l-a")])
    }

    @Test("told to stop it claims no more, ends the commands, hands back what was not started; told again it kills")
    func stops() {
        var state = state(slots: 1)
        _ = state.handle(.tick, now: start)
        _ = state.handle(.claimed([claim("a"), claim("b")]), now: start)
        let actions = state.handle(.stop, now: start + .seconds(1))
        #expect(actions == [.handBack([claim("b")]), .terminate(lease: "l-a", .pilotEnds)])
        #expect(state.handle(.stop, now: start + .seconds(2)) == [.kill(lease: "l-a")])
        #expect(state.handle(.ended(lease: "l-a"), now: start + .seconds(3)).isEmpty)
        #expect(state.handle(.handedBack, now: start + .seconds(3)).isEmpty)
        #expect(state.handle(.reported(lease: "l-a", retryAt: nil), now: start + .seconds(4)) == [.finish])
    }

    @Test("hands back what a claim brings that was under way when it was told to stop")
    func lateClaim() {
        var state = state(slots: 1)
        _ = state.handle(.tick, now: start)
        #expect(state.handle(.stop, now: start).isEmpty)
        #expect(state.handle(.claimed([claim("a")]), now: start) == [.handBack([claim("a")])])
        #expect(state.handle(.handedBack, now: start) == [.finish])
    }

    @Test(
        "in the moment in which it wants to be asked before a command ends, it wants the next token", arguments: 45..<75
    )
    func prefetch(milliseconds: Int) throws {
        var pace = Pace()
        // Times that are no whole milliseconds on average.
        for number in 0..<7 { pace.note(.milliseconds(milliseconds + number % 3)) }
        for number in 0..<5 { pace.noteClaim(.milliseconds(3 + number % 4)) }
        let moment = try #require(pace.prefetchMoment(running: [start], now: start))
        #expect(pace.wanted(slots: 1, running: [start], now: moment) == 1)
    }

    @Test("holds tokens ready beside short commands, none beside long ones")
    func pace() {
        var short = Pace()
        for _ in 0..<20 { short.note(.milliseconds(1)) }
        #expect(short.wanted(slots: 2, running: [start, start], now: start) > 10)
        var long = Pace()
        for _ in 0..<20 { long.note(.seconds(60)) }
        #expect(long.wanted(slots: 2, running: [start, start], now: start + .seconds(1)) == 0)
        #expect(long.wanted(slots: 2, running: [start], now: start + .seconds(1)) == 1)
        #expect(long.wanted(slots: 2, running: [start, start], now: start + .milliseconds(59_995)) == 2)
    }
}
