import Foundation
import TestSupport
import Testing

extension Interop {
    @Suite("Chaos")
    struct ChaosTests {
        @Test("the same seed is the same plan of faults, another seed another one")
        func seeds() {
            let plan = ChaosPlan.long(seed: 7)
            #expect(plan == ChaosPlan.long(seed: 7))
            #expect(plan.blows != ChaosPlan.long(seed: 8).blows)
            #expect(plan.work != ChaosPlan.long(seed: 8).work)
            let faults = (1...1000).map(plan.cuts.fault)
            #expect(faults == (1...1000).map(ChaosPlan.long(seed: 7).cuts.fault))
            #expect((200...400).contains(faults.count { $0 != .none }))
            #expect(plan.due(ended: 0) == 0)
            #expect(plan.due(ended: plan.work.count * 9 / 10) == plan.blows.count)
        }

        @Test(
            "whatever is killed, stopped, terminated or cut: no two live leases, nothing twice, nothing lost, no try too many, every late result kept"
        )
        func everything() async throws {
            let begin = Date()
            var round: UInt64 = 0
            repeat {
                let seed = ChaosRun.seed + round
                let plan = ChaosRun.seconds == nil ? ChaosPlan.short(seed: seed) : .long(seed: seed)
                try await withPool(on: try await TestServer.start(arguments: ["--janitor"])) { pool in
                    print(try await ChaosRun(plan: plan).run(in: pool))
                }
                round += 1
            } while Date().timeIntervalSince(begin) < ChaosRun.seconds ?? 0
        }
    }
}
