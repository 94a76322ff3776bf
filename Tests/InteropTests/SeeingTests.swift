import CouchDB
import CouchDocument
import Foundation
import TestSupport
import Testing
import TokenPool

extension Interop {
    @Suite("Seeing what a pool does", .timeLimit(.minutes(3)))
    struct SeeingTests {
        @Test("worker list shows who is there and what it offers; token explain says what keeps a token")
        func explain() async throws {
            try await withPool { pool in
                #expect(try await pool.tokenpool("worker", "list", "-q").output == "")
                try await pool.tokenpool("token", "add", "huge", "--input", "true", "--requires", "cores=1000")
                try await pool.tokenpool("token", "add", "second", "--input", "true", "--after", "huge")
                try await pool.tokenpool("token", "add", "lost", "--input", "true", "--after", "nobody")
                try await pool.tokenpool("token", "add", "huge2", "--after", "huge2", status: 2)
                let alone = try await pool.tokenpool("token", "explain", "huge")
                #expect(alone.output.contains("no worker of ours is there"))
                let pilot = try pool.start("work", "--wait", "--offer", "site=sara")
                while try await pool.pool.workers().isEmpty { await Task.yield() }
                let listed = try JSON(parsing: try await pool.tokenpool("worker", "list", "--json").output)
                #expect(listed.arrayValue?.count == 1)
                #expect(listed[0]?["alive"] == true)
                #expect(listed[0]?["offers"]?["site"] == "sara")
                let huge = try await pool.tokenpool("token", "explain", "huge")
                #expect(huge.output.contains("they lack cores"), "\(huge.output)")
                let second = try await pool.tokenpool("token", "explain", "second")
                #expect(second.output.contains("it waits for token \"huge\", which is todo"), "\(second.output)")
                let lost = try await pool.tokenpool("token", "explain", "lost")
                #expect(lost.output.contains("\"nobody\", which does not exist"), "\(lost.output)")
                pilot.signal(SIGTERM)
                #expect(try await pilot.end().status == 0)
                #expect(try await pool.pool.workers().isEmpty)
            }
        }

        @Test("pool events tells every token's way, from the beginning when asked")
        func events() async throws {
            try await withPool { pool in
                try await pool.tokenpool("token", "add", "a", "--set", "s", "--input", "true")
                try await pool.tokenpool("work", "-q")
                let result = try await pool.tokenpool(
                    "pool", "events", "--set", "s", "--all", "--limit", "1", "--json")
                let event = try JSON(parsing: result.output)
                #expect(event["event"] == "token" && event["id"] == "a" && event["state"] == "done")
                #expect(event["outcome"] == "done" && event["exit_code"] == 0)
            }
        }

        @Test(
            "collect --table gives every token's fields, as CSV and as JSON lines; an archive is one file and comes back"
        )
        func table() async throws {
            try await withPool { pool in
                let yaml =
                    "set: s\ntokens:\n  - {n: 1, text: plain}\n  - {n: 2, text: 'a, \"b\"'}\nname: \"{n}\"\ninput: {n: \"{n}\", text: \"{text}\"}\ncommand: echo '{\"square\":'$(({n}*{n}))'}' > output.json; echo x > out.txt\noutputs: [out.txt]\nlimit: 1\nshare: 2\n"
                try Data(yaml.utf8).write(to: URL(fileURLWithPath: pool.folder + "/s.yaml"))
                try await pool.tokenpool("set", "create", "s.yaml")
                try await pool.tokenpool("work", "--slots", "2", "-q")
                let csv = try await pool.tokenpool(
                    "set", "collect", "s", "--table", "-", "--columns", "_id,state,input.text,output.square")
                #expect(
                    csv.output
                        == "_id,state,input.text,output.square\r\ns_1,done,plain,1\r\ns_2,done,\"a, \"\"b\"\"\",4\r\n")
                try await pool.tokenpool("set", "collect", "s", "--table", "all.csv")
                let all = try String(contentsOfFile: pool.folder + "/all.csv", encoding: .utf8)
                #expect(all.hasPrefix("_id,state,type,lock,done,"), "\(all)")
                try await pool.tokenpool("set", "collect", "s", "--table", "all.jsonl")
                let lines = try String(contentsOfFile: pool.folder + "/all.jsonl", encoding: .utf8).split(
                    separator: "\n")
                #expect(try lines.map { try JSON(parsing: String($0))["output"]?["square"] } == [1, 4])

                try await pool.tokenpool("set", "archive", "s", "--delete")
                #expect(try await pool.tokens().isEmpty)
                try await pool.tokenpool("set", "restore", "s.tar.gz")
                let restored = try await pool.tokens()
                #expect(restored.count == 2 && restored.values.allSatisfy { $0.state == .done })
                #expect(restored["s_1"]?.document.attachment("out.txt")?.length == 2)
                try await pool.tokenpool("set", "archive", "s", "s.tar.gz", status: 1)
                let changed = try await pool.tokenpool(
                    "set", "change", "s", "--limit", "none", "--share", "0.5", "--json")
                #expect(try JSON(parsing: changed.output)["limit"] == .null)
            }
        }
    }
}
