import CouchDB
import CouchDocument
import Foundation
import TestSupport
import Testing
import TokenPool

extension Interop {
    @Suite("PiCaS 1.1.2 on the same pool", .enabled("PiCaS can be installed") { await Picas.isAvailable() })
    struct PicasTests {
        @Test("scenario 1: its workers finish tokens that we created")
        func theirWorkers() async throws {
            try await withPool { pool in
                try await pool.save(
                    (0..<12).map { number in
                        var token = Token(id: "ours \(number) +%&#ü")
                        token.input = .string(number == 7 ? "echo broken >&2; exit 3" : "echo this is \(number)")
                        return token
                    })
                try await Picas.run("work.py", pool.journalPath, in: pool)

                let tokens = try await pool.tokens()
                #expect(tokens.count == 12)
                for (id, token) in tokens {
                    let failed = id.hasPrefix("ours 7 ")
                    #expect(token.state == (failed ? .error : .done), "\(id)")
                    #expect(token.exitCode == (failed ? 3 : 0), "\(id)")
                    let log = try await pool.tokenpool("token", "log", id)
                    #expect(log.output == (failed ? "" : "this is \(id.split(separator: " ")[1])\n"))
                }
                #expect(try await pool.tokenpool("token", "log", "--err", "ours 7 +%&#ü").output == "broken\n")
            }
        }

        @Test("scenario 1: our tokens begin with the fields that its own begin with")
        func startFields() async throws {
            try await withPool { pool in
                try await Picas.run("push.py", "theirs", in: pool, input: "true\n")
                let theirs = try await pool.database.document("theirs_0")
                let ours = Token(id: "ours").document
                for (name, value) in theirs.fields where name != "_id" && name != "_rev" && name != "input" {
                    #expect(ours[name] == value, "\(name)")
                }
            }
        }

        @Test("scenario 2: our workers finish its tokens, and it reads the results")
        func ourWorkers() async throws {
            try await withPool { pool in
                let lines = (0..<12).map { $0 == 5 ? "echo oh no >&2; exit 9" : "echo 'hello from' $(( \($0) * 2 ))" }
                try await Picas.run("push.py", "theirs", in: pool, input: lines.joined(separator: "\n") + "\n")
                try await pool.tokenpool("work", "--slots", "4", status: nil)

                let tokens = try await pool.tokens()
                #expect(tokens.count == 12)
                let seen = try await Picas.start("read.py", tokens.keys.sorted(), in: pool).end()
                #expect(seen.lines.count == 12, "\(seen.errors)")
                for line in seen.lines {
                    let token = try JSON(parsing: line)
                    let number = try #require(Int(token["id"]?.stringValue?.dropFirst(7) ?? ""))
                    #expect(token["is_done"] == true)
                    #expect(token["has_error"] == false)
                    #expect(token["exit_code"] == (number == 5 ? 9 : 0))
                    #expect(token["hostname"]?.stringValue?.isEmpty == false)
                    #expect((token["lock"]?.intValue ?? 0) <= (token["done"]?.intValue ?? 0))
                    #expect((token["lock"]?.intValue ?? 0) > 1_600_000_000)
                    #expect(token["logs"]?["out"]?.stringValue == (number == 5 ? "" : "hello from \(number * 2)\n"))
                    #expect(token["logs"]?["err"]?.stringValue == (number == 5 ? "oh no\n" : ""))
                }
            }
        }

        @Test("scenario 3: both together drain one pool of 200: ours run no token twice, none is lost")
        func together() async throws {
            try await withPool { pool in
                let journal = pool.journalPath
                // PiCaS' worker writes its own line before it runs a token; ours writes it as part of the command.
                try await pool.save(
                    (0..<200).map { number in
                        var token = Token(id: "token_\(number)")
                        token.input = .string("sleep 0.02")
                        token.pool.command = .array([
                            "/bin/sh", "-c", "echo \"ours $1\" >> \"$2\"; sleep 0.02", "sh", "{id}", .string(journal),
                        ])
                        return token
                    })
                var workers: [RunningProgram] = []
                for _ in 0..<2 {
                    workers.append(try await Picas.start("work.py", [journal], in: pool))
                    workers.append(
                        try pool.start("work", "--slots", "2", "--quiet"))
                }
                for worker in workers {
                    let result = try await worker.end(within: .seconds(180))
                    #expect(result.status <= 1, "\(result.errors.suffix(2000))")
                }

                let tokens = try await pool.tokens()
                #expect(tokens.count == 200)
                #expect(tokens.values.filter { $0.state != .done }.map(\.id) == [])
                let runs = try pool.journal().map { $0.split(separator: " ").map(String.init) }
                let ours = runs.filter { $0[0] == "ours" }.map { $0[1] }
                let theirs = runs.filter { $0[0] == "picas" }.map { $0[1] }
                #expect(Set(ours).count == ours.count, "a token was run twice by ours")
                #expect(Set(ours).union(theirs).count == 200)
                #expect(!ours.isEmpty && !theirs.isEmpty, "ours \(ours.count), PiCaS' \(theirs.count)")
                print(
                    "of 200 tokens ours ran \(ours.count), PiCaS \(theirs.count), of which \(theirs.count - Set(theirs).count + Set(theirs).intersection(ours).count) again"
                )
            }
        }

        @Test("scenario 5: its views, made by its own add_view, give the same rows as ours for every shape of token")
        func views() async throws {
            try await withPool { pool in
                var documents: [Document] = []
                let exitCodes: [JSON?] = [nil, .null, "", 0, 1, "0", "0 ok"]
                for (l, lock) in [0, 1_700_000_000, 99, -1, -2].enumerated() {
                    for (d, done) in [0, 1_700_000_100, 99, -1].enumerated() {
                        for (e, exitCode) in exitCodes.enumerated() {
                            var document = Document(id: "shape \(l)\(d)\(e)", fields: ["type": "token"])
                            document["lock"] = .integer(lock)
                            document["done"] = .integer(done)
                            document["exit_code"] = exitCode
                            documents.append(document)
                        }
                    }
                }
                #expect(documents.count == 140)
                documents.append(Document(id: "not a token", fields: ["type": "other", "lock": 0, "done": 0]))
                documents.append(Document(id: "bare"))
                for outcome in try await pool.database.bulkSave(documents) {
                    if case .failed(_, let error) = outcome { throw error }
                }
                try await Picas.run("views.py", "Theirs", in: pool)

                var total = 0
                for view in ["todo", "locked", "done", "error"] {
                    let rows = try await pool.rows("Monitor", view)
                    #expect(try await pool.rows("Theirs", view) == rows, "\(view)")
                    #expect(!rows.isEmpty)
                    total += rows.count
                }
                var query = ViewQuery()
                query.group = true
                let overviews = try await [
                    pool.database.view(ViewName(design: "Monitor", view: "overview_total"), query).rows,
                    pool.database.view(ViewName(design: "Theirs", view: "overview_total"), query).rows,
                ].map { rows in rows.map { "\($0.key) \($0.value)" } }
                #expect(overviews[0] == overviews[1])
                #expect(overviews[0].count == 4)
                // Tokens in no view at all are left: -1/-1, -2, locked 0 but done.
                #expect(total < 140)
            }
        }
    }
}
