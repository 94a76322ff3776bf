import CouchDB
import CouchDocument
import Foundation
import TestSupport
import Testing
import TokenPool

extension Interop {
    @Suite("The janitor of tokenpoold and of the command line", .timeLimit(.minutes(3)))
    struct JanitorTests {
        /// A token whose worker vanished long ago.
        private func lapsed(_ id: String) -> Token {
            var token = Token(id: id)
            token.lock = 1_700_000_000
            token.hostname = "gone"
            token.pool.lease = Lease(
                id: "l-" + id, worker: "gone", since: token.lock, until: Timestamp(seconds: token.lock + 60))
            token.pool.attempts = 1
            return token
        }

        @Test("tokenpoold takes back by itself what vanished workers held, in every pool that it finds")
        func daemon() async throws {
            let server = try await TestServer.start(arguments: ["--janitor"])
            try await withPool(on: server) { pool in
                try await pool.save([lapsed("a")])
                // The daemon looks for new pools when it starts.
                try await server.stop()
                try await server.restart()
                var query = ChangesQuery(since: "0")
                query.filter = .selector(["lock": 0, "done": 0])
                let page = try await pool.database.changes(query, waiting: .seconds(60))
                #expect(page.results.map(\.id) == ["a"])
                #expect(try await pool.pool.token("a").pool.history.map(\.outcome) == [.lapsed])
                #expect(try await server.stop() == 0)
                try await server.restart()
            }
        }

        @Test("janitor --once does what there is to do and says it; pool settings decide on PiCaS' tokens")
        func once() async throws {
            try await withPool { pool in
                var foreign = Token(id: "picas")
                foreign.lock = 1_700_000_000
                try await pool.save([lapsed("a"), foreign])
                let first = try await pool.tokenpool("janitor", "--once", "--json")
                #expect(try JSON(parsing: first.output)["returned"] == ["a"])
                #expect(try await pool.tokenpool("janitor", "--once").output == "nothing to do\n")
                #expect(
                    try await pool.tokenpool("pool", "settings", "--take-back-after", "24h").output
                        == "take_back_after: 1d00h\nremove_projects_after: never\n")
                #expect(
                    try await pool.tokenpool("janitor", "--once").output == "1 taken back from vanished workers\n")
                try await pool.tokenpool("pool", "settings", "--take-back-after", "soon", status: 2)
                #expect(
                    try await pool.tokenpool(
                        "pool", "settings", "--take-back-after", "never", "--remove-projects-after", "90d"
                    ).output == "take_back_after: never\nremove_projects_after: 90d00h\n")
                #expect(
                    try await pool.tokenpool("pool", "settings", "--json").output
                        == #"{"take_back_after":null,"remove_projects_after":7776000}"# + "\n")
            }
        }

        @Test("janitor goes on until SIGTERM, and sees what becomes due meanwhile")
        func goesOn() async throws {
            try await withPool { pool in
                let janitor = try pool.start("janitor", "--json")
                try await pool.save([lapsed("a")])
                while !janitor.output.contains("returned") { await Task.yield() }
                janitor.signal(SIGTERM)
                #expect(try await janitor.end().status == 0)
            }
        }
    }
}
