import CouchDB
import CouchDocument
import Foundation
import TestSupport
import Testing
import TokenPool

extension Interop {
    @Suite(
        "PiCaS 1.1.2 and its actors", .enabled("PiCaS can be installed") { await Picas.isAvailable() },
        .timeLimit(.minutes(5)))
    struct PicasActorTests {
        private func act(_ settings: JSON, in pool: JourneyPool) async throws -> RunningProgram {
            try await Picas.start("act.py", [pool.journalPath, settings.description], in: pool)
        }

        private func wait(for file: String, beside program: RunningProgram) async throws {
            while !FileManager.default.fileExists(atPath: file) {
                if program.hasEnded { throw Program.Failure(description: "it ended: \(program.errors.suffix(1500))") }
                await Task.yield()
            }
        }

        @Test("scenario 4: six of our workers run each of 90 tokens exactly once")
        func exactlyOnce() async throws {
            try await withPool { pool in
                let journal = pool.journalPath
                try await pool.save(
                    (0..<90).map { number in
                        var token = Token(id: "token_\(number)")
                        token.input = .string("echo token_\(number) >> \(journal)")
                        return token
                    })
                let workers = try (0..<6).map { _ in
                    try pool.start("work", "--view", "Monitor/todo", "--quiet")
                }
                for worker in workers { #expect(try await worker.end().status == 0) }
                let runs = try pool.journal()
                #expect(runs.count == 90 && Set(runs).count == 90)
                #expect(try await pool.tokens().values.allSatisfy { $0.state == .done && $0.pool.attempts == 1 })
            }
        }

        @Test("scenario 10: PiCaS tries our tokens as often as its max_scrub says, and ours goes on after its scrub")
        func scrub() async throws {
            try await withPool { pool in
                var token = Token(id: "fails")
                token.input = "exit 3"
                try await pool.save([token])
                let end = try await act(["run": ["max_scrub": 2]], in: pool).end(within: .seconds(60))
                #expect(end.status == 0, "\(end.errors.suffix(1500))")
                #expect(try pool.journal() == ["fails", "fails", "fails"])
                token = try await pool.pool.token("fails")
                #expect(token.state == .error && token.scrubCount == 2 && token.exitCode == 3)
                // Its scrub leaves exit code, logs and a machine's name behind; ours starts afresh all the same.
                try await Picas.run("documents.py", "scrub", "fails", in: pool)
                #expect(try await pool.pool.token("fails").state == .todo)
                try await pool.tokenpool("work", "--quiet", "--view", "Monitor/todo")
                token = try await pool.pool.token("fails")
                #expect(token.state == .error && token.scrubCount == 3 && token.exitCode == 3)
                #expect(token.pool.history.map(\.outcome) == [.failed])
            }
        }

        @Test(
            "scenario 11: a signal hands tokens back, PiCaS' here and ours, with each of the three reset settings",
            arguments: [(SIGTERM, "todo", "[0, 0]"), (SIGINT, "leave", "null"), (SIGTERM, "error", "[99, 99]")])
        func signals(signal: Int32, setting: String, theirs: String) async throws {
            try await withPool { pool in
                let ready = pool.folder + "/ready"
                var tokens = ["ours", "theirs"].map { Token(id: $0) }
                for index in tokens.indices {
                    tokens[index].input = .string("echo begun; touch '\(ready) \(tokens[index].id)'; exec sleep 300")
                }
                try await pool.save([tokens[1]])
                let reset = try JSON(parsing: theirs)
                let actor = try await act(["reset": reset], in: pool)
                try await wait(for: ready + " theirs", beside: actor)
                actor.signal(signal)
                #expect(try await actor.end(within: .seconds(60)).status == 0)

                try await pool.save([tokens[0]])
                let pilot = try pool.start(
                    "work", "--on-stop", setting, "--view", "Monitor/todo", "--max-tokens", "1", "--", "sh", "-c",
                    "{input}")
                // When PiCaS handed its token back, ours may take either.
                while !pilot.hasEnded, !FileManager.default.fileExists(atPath: ready + " ours") {
                    if setting == "todo", try await pool.pool.token("theirs").lock > 0 { break }
                    await Task.yield()
                }
                let held = try await pool.pool.token("ours").lock > 0 ? "ours" : "theirs"
                pilot.signal(signal)
                let end = try await pilot.end(within: .seconds(60))
                #expect(end.status == 0, "\(end.errors)")
                let ours = try await pool.pool.token(held)
                let state: TokenState = ["todo": .todo, "leave": .locked, "error": .error][setting] ?? .done
                #expect(ours.state == state, "\(ours.document)")
                if setting != "todo" {
                    #expect(try await pool.pool.token("theirs").state == state)
                    // Logs of the try came before the token was given back.
                    let log = try await pool.database.attachment("logs_ours.out", of: "ours").bytes(upTo: 100)
                    #expect(String(decoding: log, as: UTF8.self) == "begun\n")
                }
                if setting == "leave" { #expect(ours.lease == nil, "a janitor would take it back") }
            }
        }

        @Test(
            "scenario 12: job ids of DIRAC, gLite, CREAM, PBS and Slurm stand where PiCaS puts them, and go with a scrub"
        )
        func jobs() async throws {
            let environments: [JSON] = [
                ["DIRACJOBID": "123", "SLURM_JOB_ID": "1"], ["GLITE_WMS_JOBID": "https://wms.example.org:9000/x"],
                ["GLITE_WMS_JOBID": "not a URL"], ["CREAM_JOBID": "CREAM12", "PBS_JOBID": "9.pbs"],
                ["PBS_JOBID": "9.pbs"],
                ["SLURM_ARRAY_JOB_ID": "4711", "SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_ID": "4714"],
                ["SLURM_JOB_ID": "4714"],
            ]
            try await withPool { pool in
                try await pool.save(environments.indices.map { Token(id: "theirs\($0)") })
                let seen = try await Picas.run(
                    "documents.py", "lock", JSON.array(environments).description, in: pool)
                let fields = WorkerIdentity.JobIdentifier.fields
                for (environment, line) in zip(environments, seen.lines) {
                    let theirs = try JSON(parsing: line)
                    try await pool.save([Token(id: "ours")])
                    var variables = pool.environment
                    for (name, value) in environment.objectValue ?? [:] { variables[name] = value.stringValue }
                    let end = try await Program.run(
                        try Program.built("tokenpool"), ["work", "--quiet", "--", "sh", "-c", "exit 1"],
                        environment: variables, folder: pool.folder)
                    #expect(end.status == 0, "\(end.errors)")
                    let ours = try await pool.pool.token("ours")
                    for field in fields { #expect(ours[field] == theirs[field], "\(environment): \(field)") }
                    #expect(fields.contains { ours[$0] != nil })
                    try await pool.tokenpool("token", "reset", "ours", "--quiet")
                    let reset = try await pool.pool.token("ours")
                    #expect(!fields.contains { reset[$0] != nil })
                    try await pool.pool.delete("ours")
                }
                #expect(seen.lines.count == environments.count)
            }
        }

        @Test("scenario 19: the better view or priority goes first, and endless workers take what comes later")
        func priorities() async throws {
            try await withPool { pool in
                try await pool.tokenpool("views", "make", "Urgent", "--where", "doc.pool && doc.pool.priority > 0")
                func add(_ ids: String..., priority: Int) async throws {
                    try await pool.save(
                        ids.map { id in
                            var token = Token(id: id)
                            token.pool.priority = priority
                            token.input = .string("echo \(id) >> journal-of-ours; touch '\(pool.folder)/\(id)'")
                            // Ours run in folders of their own.
                            token.input = .string(
                                token.input.stringValue?.replacing("journal-of-ours", with: pool.folder + "/ours") ?? ""
                            )
                            return token
                        })
                }
                // PiCaS knows priorities by views only, all of one design document.
                let urgent = try #require(try await pool.database.designDocument("Urgent")).views["todo"]
                var monitor = try #require(try await pool.database.designDocument("Monitor"))
                monitor.views["urgent"] = urgent
                try await pool.database.push(monitor)
                try await add("low1", "low2", priority: 0)
                try await add("high1", "high2", priority: 5)
                let settings = try JSON(parsing: #"{"view": "urgent", "low": "todo", "endless": 0.1, "stop_after": 5}"#)
                let actor = try await act(settings, in: pool)
                try await wait(for: pool.folder + "/low1", beside: actor)
                try await wait(for: pool.folder + "/low2", beside: actor)
                try await add("late", priority: 0)
                let end = try await actor.end(within: .seconds(60))
                #expect(end.status == 0, "\(end.errors.suffix(1500))")
                let theirs = try pool.journal()
                #expect(Set(theirs.prefix(2)) == ["high1", "high2"] && theirs.count == 5 && theirs.last == "late")

                try await add("b-low", priority: 0)
                try await add("a-high", priority: 5)
                let pilot = try pool.start("work", "--wait", "--max-tokens", "3")
                try await wait(for: pool.folder + "/b-low", beside: pilot)
                try await add("c-late", priority: 0)
                #expect(try await pilot.end(within: .seconds(60)).status == 0)
                let ours = try String(contentsOfFile: pool.folder + "/ours", encoding: .utf8).split(separator: "\n")
                #expect(ours.suffix(3) == ["a-high", "b-low", "c-late"], "\(ours)")
            }
        }
    }
}
