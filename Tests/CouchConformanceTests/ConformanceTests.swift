import Testing
import TestSupport

/// What Apache CouchDB 3.5.0 answered, `tokenpoold` answers: the recordings, scenario by scenario.
///
/// With `COUCHDB_URL` set they are played against that server.
@Suite("Recordings of Apache CouchDB")
struct ConformanceTests {
    @Test("answers as Apache CouchDB did", arguments: Scenario.all.filter { !$0.isExclusive })
    func shared(_ scenario: Scenario) async throws {
        try await play(scenario, on: try await TestServer.shared())
    }

    @Test(
        "answers as Apache CouchDB did while a setting is changed",
        .serialized, arguments: Scenario.all.filter { $0.isExclusive })
    func alone(_ scenario: Scenario) async throws {
        if TestServer.externalURL != nil {
            try await play(scenario, on: try await TestServer.shared())
        } else {
            let server = try await TestServer.start()
            try await play(scenario, on: server)
            try await server.stop()
        }
    }

    private func play(_ scenario: Scenario, on server: TestServer) async throws {
        let failures = try await Stage.common.play(alone: scenario.isConcurrent) {
            var player = try Player(scenario, url: server.url)
            return await player.play()
        }
        for failure in failures { Issue.record("\(failure)") }
    }
}
