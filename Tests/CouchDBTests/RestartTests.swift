import CouchDB
import CouchDocument
import TestSupport
import Testing

/// With a server of its own that is killed and started again.
@Suite("Over a restart", .enabled(if: TestServer.externalURL == nil, "needs a server to kill"), .timeLimit(.minutes(2)))
struct RestartTests {
    @Test("a feed goes on, and a read waits for the server — GET /db/_changes?feed=continuous, GET /db/id")
    func restart() async throws {
        let own = try await TestServer.start()
        var configuration = try ServerConfiguration(url: own.url)
        configuration.retry.attempts = 100
        let database = try await Server(configuration).createDatabase("pool")
        try await database.save(Document(id: "before"))
        var seen: [String] = []
        for try await change in database.changeFeed() {
            seen.append(change.id)
            guard change.id == "before" else { break }
            try await own.kill()
            async let read = database.document("before")
            try await own.restart()
            #expect(try await read.revision == change.revisions.first)
            try await database.save(Document(id: "after"))
        }
        #expect(seen == ["before", "after"])
        _ = try await own.stop()
    }
}
