import Testing
import TokenPool

@Suite("A lease in its holder's hands")
struct LeaseTests {
    private let start = Timestamp(seconds: 1000)
    private func lease() -> HeldLease { HeldLease(length: .seconds(300), until: Timestamp(seconds: 1300)) }

    @Test("is renewed after a third of its length, once")
    func renewal() {
        var lease = lease()
        #expect(lease.handle(.tick(now: Timestamp(seconds: 1099))) == .none)
        #expect(lease.handle(.tick(now: Timestamp(seconds: 1100))) == .renew)
        #expect(lease.handle(.tick(now: Timestamp(seconds: 1101))) == .none)
        #expect(lease.handle(.renewed(until: Timestamp(seconds: 1401))) == .none)
        #expect(lease.handle(.tick(now: Timestamp(seconds: 1200))) == .none)
        #expect(lease.handle(.tick(now: Timestamp(seconds: 1201))) == .renew)
    }

    @Test("is tried again soon when the renewal failed, and stops the work when it runs out")
    func failure() {
        var lease = lease()
        _ = lease.handle(.tick(now: Timestamp(seconds: 1100)))
        #expect(lease.handle(.renewalFailed(now: Timestamp(seconds: 1110))) == .none)
        #expect(lease.handle(.tick(now: Timestamp(seconds: 1134))) == .none)
        #expect(lease.handle(.tick(now: Timestamp(seconds: 1135))) == .renew)
        #expect(lease.handle(.renewalFailed(now: Timestamp(seconds: 1300))) == .stopWork)
        #expect(lease.handle(.tick(now: Timestamp(seconds: 1301))) == .none)
    }

    @Test("stops the work at once when somebody else has the token")
    func lost() {
        var lease = lease()
        #expect(lease.handle(.lost) == .stopWork)
        #expect(lease.isOver)
    }
}

@Suite("Tries")
struct AttemptPolicyTests {
    private let now = Timestamp(seconds: 1000)

    @Test("a token that says nothing fails at once, but survives some vanished workers")
    func defaults() {
        let policy = AttemptPolicy()
        #expect(policy.decide(after: .failed, attempt: 1, now: now) == .giveUp)
        #expect(policy.decide(after: .lapsed, attempt: 1, now: now) == .retry(notBefore: nil))
        #expect(policy.decide(after: .lapsed, attempt: AttemptPolicy.lapseLimit, now: now) == .giveUp)
    }

    @Test("a limit holds for every reason but handing back")
    func limit() {
        let policy = AttemptPolicy(maxAttempts: 2, delay: .seconds(30))
        #expect(policy.decide(after: .timeLimit, attempt: 1, now: now) == .retry(notBefore: Timestamp(seconds: 1030)))
        #expect(policy.decide(after: .timeLimit, attempt: 2, now: now) == .giveUp)
        #expect(policy.decide(after: .lapsed, attempt: 2, now: now) == .giveUp)
        #expect(policy.decide(after: .released, attempt: 9, now: now) == .retry(notBefore: nil))
    }
}
