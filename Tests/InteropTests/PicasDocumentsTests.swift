import CouchDB
import CouchDocument
import Foundation
import Logging
import TestSupport
import Testing
import TokenPool

extension Interop {
    @Suite(
        "PiCaS 1.1.2 and documents", .enabled("PiCaS can be installed") { await Picas.isAvailable() },
        .timeLimit(.minutes(5)))
    struct PicasDocumentsTests {
        /// Runs one of the commands of `documents.py` and reads the lines that it answers.
        @discardableResult
        private func picas(_ arguments: String..., in pool: JourneyPool) async throws -> [JSON] {
            let result = try await Picas.start("documents.py", arguments, in: pool).end(within: .seconds(120))
            #expect(result.status == 0, "\(arguments): \(result.errors.suffix(2000))")
            return try result.lines.map { try JSON(parsing: $0) }
        }

        /// Saves tokens as PiCaS does, from their JSON.
        private func push(_ tokens: [JSON], in pool: JourneyPool) async throws -> [JSON] {
            let file = pool.folder + "/push-\(UUID().uuidString).jsonl"
            let lines = tokens.map(\.description).joined(separator: "\n")
            try Data((lines + "\n").utf8).write(to: URL(fileURLWithPath: file))
            return try await picas("push", file, in: pool)
        }

        @Test("scenario 6: our reset by the age of the lock leaves what resetTokens leaves")
        func reset() async throws {
            try await withPool { pool in
                let now = Int(Date().timeIntervalSince1970)
                for design in ["Ours", "Theirs"] {
                    try await pool.tokenpool("views", "make", design, "--where", "doc.side == '\(design)'")
                }
                let shapes: [(name: String, lock: Int, done: Int)] = [
                    ("old", now - 7200, now - 7000), ("older", now - 90_000, now - 89_000),
                    ("young", now - 600, now - 500),
                ]
                var tokens: [Token] = []
                for side in ["Ours", "Theirs"] {
                    for shape in shapes {
                        var token = Token(id: "\(side) \(shape.name)")
                        token["side"] = .string(side)
                        (token.lock, token.done, token.exitCode) = (shape.lock, shape.done, 4)
                        token.hostname = "node7"
                        token.errors = [["time": 5, "message": "it broke"]]
                        token.attach(.init(name: token.logName("out"), contentType: "text/plain", bytes: [65]))
                        tokens.append(token)
                    }
                }
                try await pool.save(tokens)
                let said = try await pool.tokenpool("token", "reset", "--view", "Ours/error", "--locked-for", "1h")
                #expect(said.output == "2 tokens are todo again\n")
                // PiCaS' example looks into Monitor, so only their half may be there.
                #expect(try await picas("reset_tokens", "error", "1", in: pool) == [[true, true]])
                let after = try await pool.tokens()
                for shape in shapes {
                    let ours = try #require(after["Ours \(shape.name)"])
                    let theirs = try #require(after["Theirs \(shape.name)"])
                    for field in ["lock", "done", "hostname", "scrub_count", "exit_code", "error", "type", "input"] {
                        #expect(ours[field] == theirs[field], "\(shape.name): \(field)")
                    }
                    #expect(ours.document.attachments.count == theirs.document.attachments.count, "\(shape.name)")
                    #expect(ours.state == (shape.name == "young" ? .error : .todo))
                }
            }
        }

        @Test("scenario 7: our delete by view deletes its tokens, and its delete_from_view ours")
        func delete() async throws {
            try await withPool { pool in
                #expect(
                    try await push(
                        (0..<30).map { ["_id": .string("theirs \($0)"), "type": "token", "lock": 99, "done": 99] },
                        in: pool
                    ).first?.arrayValue?.count == 30)
                try await pool.save([Token(id: "todo")])
                let said = try await pool.tokenpool("token", "delete", "--view", "Monitor/error", "--json")
                #expect(said.lines.count == 31)
                #expect(try JSON(parsing: said.lines.last ?? "") == ["count": 30])
                #expect(Array(try await pool.tokens().keys) == ["todo"])
                try await pool.tokenpool("token", "delete", "--view", "Monitor/nope", status: 1)
                #expect(try await picas("delete_from_view", "todo", in: pool) == [[true]])
                #expect(try await pool.tokens().isEmpty)
            }
        }

        @Test(
            "scenarios 8 and 20: unknown fields, nested values, odd ids, large values and input files survive our worker"
        )
        func survival() async throws {
            try await withPool { pool in
                let ids = [
                    "a b", "100%", "a+b&c#d?e=f", "a/b", "żółć 🐟", "new\nline", "\"quoted\"",
                    "_x".replacing("_", with: "-"),
                ]
                let extra = try JSON(
                    parsing: """
                        {"big": 9007199254740993, "exact": 0.1, "tiny": 1e-300, "deep": {"a": [1, {"b": [null, true, "x"]}]},
                         "text": "\\u0000\\u2028\\"\\\\", "cores": 1, "no value": null}
                        """)
                let long = String(repeating: "abc żółć ", count: 15_000)
                let tokens = ids.map { id -> JSON in
                    var token: JSONObject = ["_id": .string(id), "type": "token", "input": "echo done"]
                    token["extra"] = extra
                    token["long"] = .string(long)
                    token["_attachments"] = [
                        "in/put ü.txt": [
                            "content_type": "text/x-own", "data": .string(Data("input".utf8).base64EncodedString()),
                        ]
                    ]
                    return .object(token)
                }
                #expect(try await push(tokens, in: pool) == [.array(ids.map { _ in true })])
                try await pool.tokenpool("work", "--slots", "4", "--quiet")
                let seen = try await Picas.start("documents.py", ["dump"] + ids, in: pool).end(within: .seconds(120))
                #expect(seen.lines.count == ids.count, "\(seen.errors.suffix(2000))")
                for (id, line) in zip(ids, seen.lines) {
                    let answer = try JSON(parsing: line)
                    let document = try #require(answer["document"])
                    #expect(document["_id"] == .string(id) && document["exit_code"] == 0)
                    #expect(document["extra"] == extra, "\(id)")
                    #expect(document["long"] == .string(long))
                    #expect(document["_attachments"]?["in/put ü.txt"]?["content_type"] == "text/x-own")
                    #expect(answer["contents"]?["in/put ü.txt"] == .string(Data("input".utf8).base64EncodedString()))
                    #expect(
                        answer["contents"]?["logs_\(id).out"] == .string(Data("done\n".utf8).base64EncodedString()))
                }
            }
        }

        @Test("scenario 9: tokens that PiCaS gave up with 99/99 are left alone, listed as errors, and can be reset")
        func givenUp() async throws {
            try await withPool { pool in
                var token = Token(id: "broken")
                token.input = "echo works"
                // With exit code 0 PiCaS' own views call it done.
                token.exitCode = 0
                var other = Token(id: "fine")
                other.input = "true"
                try await pool.save([token, other])
                try await picas("error", "broken", in: pool)
                try await pool.tokenpool("work", "--quiet")
                var broken = try await pool.pool.token("broken")
                #expect(broken.lock == 99 && broken.done == 99)
                #expect(broken.errors.first?["exception"]?.stringValue?.contains("no such calibrator") == true)
                let listed = try await pool.tokenpool("token", "list", "--state", "error", "--quiet")
                #expect(listed.lines == ["broken"])
                try await pool.tokenpool("token", "reset", "broken")
                try await pool.tokenpool("work", "--quiet")
                broken = try await pool.pool.token("broken")
                #expect(broken.state == .done && broken.errors.count == 1)
            }
        }

        @Test("scenario 13: SingleCore and MultiCore have the rows that PiCaS' own have, and both probes agree")
        func cores() async throws {
            try await withPool { pool in
                let cores: [JSON?] = [1, 4, "4", nil, 2]
                try await pool.save(
                    cores.enumerated().map { number, cores in
                        var token = Token(id: "t\(number)")
                        token["cores"] = cores
                        return token
                    })
                for (design, count) in [("SingleCore", "1"), ("MultiCore", "4")] {
                    try await pool.tokenpool("views", "make", design)
                    try await picas("cores", "Their\(design)", count, in: pool)
                    for view in ["todo", "locked", "done", "error"] {
                        #expect(try await pool.rows(design, view) == pool.rows("Their\(design)", view))
                    }
                }
                #expect(try await pool.rows("MultiCore", "todo").count == 2)
                let probes = ["MultiCore/todo", "MultiCore/done", "MultiCore/nope"]
                let seen = try await Picas.start("documents.py", ["nonempty"] + probes, in: pool).end()
                #expect(seen.lines == ["[true, false, false]"], "\(seen.errors.suffix(500))")
                for (probe, status) in zip(probes, [0, 1, 1] as [Int32]) {
                    let ours = try await pool.tokenpool("views", "probe", probe, status: status)
                    // A view that is not there is told apart from an empty one.
                    #expect(ours.errors.contains("run `tokenpool views push`") == (probe == "MultiCore/nope"))
                }
                try await pool.tokenpool("work", "--view", "MultiCore/todo", "--quiet", "--", "true")
                #expect(try await pool.tokens().values.filter { $0.state == .done }.map(\.id).sorted() == ["t1", "t2"])
            }
        }

        @Test("scenario 16: files are kept when PiCaS saves, replaced when it attaches again, whatever their names")
        func attachments() async throws {
            try await withPool { pool in
                var token = Token(id: "a/b")
                token.input = "cat 'sub/in put.txt'; echo two > sub/out.txt"
                token.pool.outputs = ["sub/out.txt"]
                token.attach(.init(name: "sub/in put.txt", contentType: "text/plain", bytes: Array("one\n".utf8)))
                try await pool.save([token])
                try await picas("attach", "a/b", "notes/ü.txt", "from PiCaS", in: pool)
                try await pool.tokenpool("work", "--quiet")
                try await picas("attach", "a/b", "sub/out.txt", "three", in: pool)
                let answer = try #require(try await picas("dump", "a/b", in: pool).first)
                let contents = try #require(answer["contents"]?.objectValue)
                func text(_ name: String) -> String? {
                    contents[name]?.stringValue.flatMap { Data(base64Encoded: $0) }.map {
                        String(decoding: $0, as: UTF8.self)
                    }
                }
                #expect(contents.count == 5, "\(contents.names)")
                #expect(text("sub/in put.txt") == "one\n" && text("notes/ü.txt") == "from PiCaS")
                #expect(text("sub/out.txt") == "three" && text("logs_a/b.out") == "one\n")
                let got = try await pool.tokenpool("token", "get", "a/b", "notes/ü.txt", "--output", "-")
                #expect(got.output == "from PiCaS")
            }
        }

        @Test("scenario 18: log, job and user documents of PiCaS are read here, and ours there")
        func others() async throws {
            try await withPool { pool in
                // PiCaS' second line in a second waits half a second and more for an id.
                _ = try await Picas.run("documents.py", "log", "the first line", "the second", in: pool)
                let log = PoolLog(database: pool.database, host: "here")
                Logger(label: "test") { log.handler(label: $0) }.warning("ours")
                try await log.flush()
                let shown = try await pool.tokenpool("pool", "log", "--level", "warning", "--json")
                let lines = try shown.lines.map { try JSON(parsing: $0) }
                #expect(lines.map { $0["msg"] } == ["the first line", "the second", "ours"])
                try await pool.save([Token(id: "fails")])
                try await pool.tokenpool("work", "--log-documents", "--quiet", "--", "sh", "-c", "exit 3")
                let ended = try await pool.tokenpool("pool", "log", "--json").lines.map { try JSON(parsing: $0) }.filter
                {
                    $0["metadata"]?["token"] == "fails"
                }
                #expect(ended.map { $0["msg"] } == ["started", "ended"])
                #expect(ended.last?["lvl"] == 30 && ended.last?["metadata"]?["exit_code"] == "3")
                try await pool.tokenpool("pool", "log", "--delete-older-than", "1h")
                #expect(try await pool.tokenpool("pool", "log").lines.count >= 5)
                let members = try #require(lines.first?.objectValue).names
                #expect(members.allSatisfy { lines.last?[$0] != nil }, "\(members)")

                #expect(try await picas("job", "job 47/11", in: pool) == [["is_done": true]])
                let job = try #require(try await pool.pool.job("job 47/11"))
                #expect(job.method == "slurm" && job.isDone && job.queued != nil && job.started != nil)
                try await pool.tokenpool("pool", "job", "note", "ours", "queued", "--method", "pbs")
                try await pool.tokenpool("pool", "job", "note", "ours", "started")
                try await pool.tokenpool("pool", "job", "note", "ours", "finished")
                let kept = try #require(try await picas("archive", "ours", in: pool).first)
                #expect(kept["method"] == "pbs" && kept["_id"]?.stringValue?.hasPrefix("archived-ours-") == true)
                let archived = try await pool.tokenpool("pool", "job", "note", "job 47/11", "archived", "--quiet")
                #expect(try await pool.pool.job("job 47/11") == nil)
                #expect(archived.output.hasPrefix("archived-job 47/11-"))
            }
        }

        @Test("scenario 20: of two writers of one revision one wins, and everybody is told; _security keeps others out")
        func conflictsAndSecurity() async throws {
            try await withPool { pool in
                try await pool.save([Token(id: "token ü")])
                #expect(
                    try await picas("conflicts", "token ü", in: pool) == [
                        ["save": "conflict", "bulk": [false, true], "delete": [true]]
                    ])
                let name = "user-\(UInt64.random(in: 0 ... .max))"
                try await picas("user", name, "pass:word=1", in: pool)
                let secret = pool.folder + "/secret"
                try Data("pass:word=1\n".utf8).write(to: URL(fileURLWithPath: secret))
                var url = try #require(URLComponents(string: pool.server.url))
                (url.user, url.password) = (name, nil)
                let own = ["--url", url.string ?? "", "--password-file", secret]
                func asUser(_ arguments: String...) async throws -> Int32 {
                    try await Program.run(
                        try Program.built("tokenpool"), arguments + own, environment: pool.environment,
                        folder: pool.folder
                    ).status
                }
                #expect(try await asUser("token", "show", "token ü") == 0)
                #expect(try await asUser("views", "make", "MultiCore") == 4)
                let added = try await Program.run(
                    try Program.built("tokenpool"), ["users", "add", name + " 2", "--role", "pilot"],
                    environment: pool.environment, folder: pool.folder, input: "another\n")
                #expect(added.status == 0, "\(added.errors)")
                try await pool.tokenpool("users", "add", name + " 2", "--role", "chief", "--quiet")
                #expect(try await pool.database.server.user(name + " 2")?["roles"] == ["chief"])
                try await pool.tokenpool("users", "delete", name + " 2")
                let listed = try await pool.tokenpool("users", "list", "--json")
                #expect(listed.output.contains(name) && !listed.output.contains("derived_key"))
                try await pool.tokenpool("security", "allow", "someone else")
                try await pool.tokenpool("security", "deny", name)
                let shown = try JSON(parsing: try await pool.tokenpool("security", "show", "--json").output)
                #expect(shown["members"]?["names"] == ["someone else"] && shown["members"]?["roles"] == ["pilots"])
                #expect(try await asUser("token", "show", "token ü") == 4)
                try await pool.tokenpool("users", "delete", name)
                try await pool.tokenpool("users", "delete", name, status: 1)
            }
        }
    }
}
