import TestSupport
import Testing

extension Interop {
    @Suite("Chaos")
    struct ChaosTests {
        @Test("with pilots killed at random every token is done once, none is lost, none stays held")
        func pilots() async throws {
            try await withPool(on: try await TestServer.start()) { pool in
                try await ChaosRun.chosen(serverKills: 0).run(in: pool)
            }
        }

        @Test("the same with the server killed and started again on its folder meanwhile")
        func pilotsAndServer() async throws {
            try await withPool(on: try await TestServer.start()) { pool in
                try await ChaosRun.chosen(serverKills: 3).run(in: pool)
            }
        }
    }
}
