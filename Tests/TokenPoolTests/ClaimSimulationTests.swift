import Testing

@testable import TokenPool

@Suite("What many pilots do to each other, simulated")
struct ClaimSimulationTests {
    private func outcome(
        _ order: ClaimOrder, pilots: Int = 100, change: (inout ClaimSimulation.Settings) -> Void = { _ in }
    ) -> ClaimSimulation.Outcome {
        var settings = ClaimSimulation.Settings()
        settings.pilots = pilots
        settings.order = order
        settings.tokens = 50_000
        (settings.run, settings.warmUp, settings.duration) = (1, 1, 1)
        change(&settings)
        var simulation = ClaimSimulation(settings)
        return simulation.run()
    }

    @Test("the same seed gives the same result, another seed another one")
    func seeded() {
        let one = outcome(.sharded)
        #expect(one == outcome(.sharded))
        #expect(one != outcome(.sharded) { $0.seed = 2 })
        // What `tokenpool bench simulate --pilots 100 --tokens 50000 --run 1 --seconds 1` says: a change of the choosing shows
        // here.
        for (order, claims, conflicts) in [(ClaimOrder.asViewed, 107, 205), (.shuffled, 103, 42), (.sharded, 83, 0)] {
            let known = outcome(order)
            #expect((known.claims, known.conflicts) == (claims, conflicts), "\(order)")
        }
    }

    @Test("in order they meet all the time, at random now and then, from places of their own hardly ever")
    func orders() {
        let ordered = outcome(.asViewed)
        let random = outcome(.shuffled)
        let sharded = outcome(.sharded)
        #expect(ordered.conflictRate > 0.3)
        #expect(random.conflictRate < ordered.conflictRate / 2)
        #expect(sharded.conflictRate < random.conflictRate / 2)
        #expect(sharded.conflictRate < 0.02)
        // It costs writes, not work: who loses goes further down.
        #expect(ordered.rate > sharded.rate / 2)
    }

    @Test("a pilot alone meets nobody, and takes as long as its commands and its way to the server")
    func alone() {
        let outcome = outcome(.asViewed, pilots: 1) {
            ($0.run, $0.roundTrip, $0.duration) = (0, 0.1, 20)
        }
        #expect(outcome.conflicts == 0)
        // A read now and then, a lock and a result: more than two and less than three ways each.
        #expect((3.0...5.0).contains(outcome.rate), "\(outcome.rate)")
    }

    @Test("every token is claimed once, whatever the order and the lag, until none is left")
    func whole() {
        for order in [ClaimOrder.asViewed, .shuffled, .sharded] {
            let outcome = outcome(order, pilots: 20) {
                ($0.tokens, $0.run, $0.warmUp, $0.duration, $0.lag) = (500, 0.05, 0, 60, 0.5)
            }
            #expect(outcome.claims == 500, "\(order)")
        }
    }

    @Test("a server that is overloaded answers what it can, and no more")
    func overloaded() {
        let outcome = outcome(.sharded, pilots: 500) {
            ($0.run, $0.nodes, $0.cores, $0.warmUp, $0.duration) = (0, 1, 1, 0.5, 0.5)
        }
        // Two writes a token, at 0.15 ms of the only core, and a read for some.
        #expect(outcome.rate < 3300)
        #expect(outcome.rate > 1500)
    }
}
