import CouchDB
import CouchDocument
import Foundation
import TestSupport
import Testing
import TokenPool

extension Interop {
    @Suite("A worker whose server is away", .timeLimit(.minutes(3)))
    struct StoppingTests {
        private func work(_ pool: JourneyPool, _ arguments: [String]) throws -> RunningProgram {
            try Program.start(
                try Program.built("tokenpool"), ["work"] + arguments, environment: pool.environment,
                folder: pool.folder)
        }

        /// Waits for something that another program brings about.
        private func wait(until isSo: () async throws -> Bool) async throws {
            while try await !isSo() { await Task.yield() }
        }

        @Test("begun while the server is down, it waits for it and works; nobody sees a worker before")
        func lateServer() async throws {
            let server = try await TestServer.start()
            try await withPool(on: server) { pool in
                try await pool.save([Token(id: "a")])
                try await server.stop()
                let pilot = try work(pool, ["--", "true"])
                try await wait { pilot.errors.contains("claiming failed, trying again") }
                try await server.restart()
                let result = try await pilot.end()
                #expect(result.status == 0, "\(result.errors)")
                #expect(try await pool.pool.token("a").state == .done)
                #expect(result.errors.contains("1 done, 0 failed"))
            }
        }

        @Test(
            "it ends with one line when its patience is over, or the database or the right is missing, without a summary"
        )
        func failureToStart() async throws {
            try await withPool { pool in
                var wrong = try #require(URLComponents(string: pool.server.url))
                wrong.password = "wrong"
                for (arguments, status, advice) in [
                    (["--url", "http://127.0.0.1:1", "--patience", "1s", "-q"], 3, "check --url"),
                    (["--database", "no-such-database"], 1, "tokenpool init"),
                    (["--url", wrong.string ?? ""], 4, "tokenpool login"),
                    (["--view", "No/such"], 1, "tokenpool views push"),
                ] as [([String], Int32, String)] {
                    let result = try await work(pool, arguments).end()
                    #expect(result.status == status, "\(arguments): \(result.errors)")
                    #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
                    #expect(result.errors.contains(advice), "\(result.errors)")
                }
                let workers = try await pool.database.allDocuments().rows.filter {
                    $0.id?.hasPrefix("worker_") ?? false
                }
                #expect(workers.isEmpty)
            }
        }

        /// A worker that runs a token without end, and its server is gone.
        private func cutOff(_ arguments: [String], _ body: (JourneyPool, RunningProgram) async throws -> Void)
            async throws
        {
            let server = try await TestServer.start()
            try await withPool(on: server) { pool in
                let ready = pool.folder + "/ready"
                try await pool.save([Token(id: "long")])
                let pilot = try work(
                    pool, arguments + ["--", "sh", "-c", "echo before; : > \(ready); exec sleep 300"])
                try await wait { FileManager.default.fileExists(atPath: ready) }
                try await server.kill()
                try await body(pool, pilot)
                // For the end of the test, which deletes the database.
                if (try? await pool.database.exists()) == nil { try await server.restart() }
            }
        }

        @Test(
            "SIGTERM while the server is down: the report is tried for the grace, and lands when the server comes back")
        func terminated() async throws {
            try await cutOff(["--grace", "60s"]) { pool, pilot in
                pilot.signal(SIGTERM)
                try await wait { pilot.errors.contains("tokens are handed back") }
                try await pool.server.restart()
                let result = try await pilot.end()
                #expect(result.status == 0, "\(result.errors)")
                let token = try await pool.pool.token("long")
                #expect(token.state == .todo)
                let log = try await pool.database.attachment("logs_long.out", of: "long").bytes(upTo: 100)
                #expect(String(decoding: log, as: UTF8.self) == "before\n")
            }
        }

        @Test("SIGTERM while the server stays down ends after the grace and says what is left to its lease")
        func grace() async throws {
            try await cutOff(["--grace", "1s"]) { pool, pilot in
                pilot.signal(SIGTERM)
                let result = try await pilot.end(within: .seconds(50))
                #expect(result.status == 3)
                #expect(result.errors.contains("1 token is left to its lease"), "\(result.errors)")
                #expect(result.errors.contains("\"long\""), "\(result.errors)")
            }
        }

        @Test("a second signal ends at once, however long the grace, and says what is left to its lease")
        func twice() async throws {
            try await cutOff(["--grace", "600s"]) { pool, pilot in
                pilot.signal(SIGTERM)
                try await wait { pilot.errors.contains("tokens are handed back") }
                pilot.signal(SIGTERM)
                let result = try await pilot.end(within: .seconds(30))
                #expect(result.status == 3)
                #expect(result.errors.contains("ending at once"), "\(result.errors)")
                #expect(result.errors.contains("1 token is left to its lease"), "\(result.errors)")
            }
        }
    }
}
