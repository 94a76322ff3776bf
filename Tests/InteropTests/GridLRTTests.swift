import CouchDB
import CouchDocument
import Foundation
import TestSupport
import Testing
import TokenPool

extension Interop {
    @Suite(
        "GRID_LRT 1.0.7 on the same pool", .enabled("it can be installed") { await Picas.isAvailable() },
        .timeLimit(.minutes(5)))
    struct GridLRTInteropTests {
        private static let configuration = """
            {"PicasApiVersion": 0.5,
             "Job": {"NCPU": 6, "variables": {"OBSID": "L658346", "PIPELINE_STEP": "pref3_cal", "STARTSB": "000"}},
             "Token": {"status": "queued", "times": {}, "type": "pref3_",
                       "upload": {"gzip": false, "location": "$RESULTS_DIR/$OBSID"},
                       "variables": {"_token_keys": {"$OBSID": "OBSID"}, "_attachments": {"$SRMFILE": "srm.txt"}}},
             "container": {"singularity": {"SIMG": "shub://user/collection:tag"}}}
            """

        private func write(_ pool: JourneyPool) throws -> (configuration: String, links: String) {
            let paths = (pool.folder + "/pref3_cal.json", pool.folder + "/srm.txt")
            try Data(Self.configuration.utf8).write(to: URL(fileURLWithPath: paths.0))
            try Data("srm://srm.grid.sara.nl:8443/pnfs/x/L658346_SB000_uv.MS.tar\n".utf8).write(
                to: URL(fileURLWithPath: paths.1))
            return paths
        }

        private func overview(_ pool: JourneyPool, _ type: String) async throws -> [String] {
            var query = ViewQuery()
            query.group = true
            let page = try await pool.database.view(ViewName(design: type, view: "overview_view"), query)
            return page.rows.map { "\($0.key.stringValue ?? "") \($0.value)" }
        }

        @Test(
            "scenario 14: token types of GRID_LRT made here are worked on by a PiCaS pilot, status and overview included"
        )
        func pilot() async throws {
            try await withPool { pool in
                let files = try write(pool)
                try await pool.tokenpool(
                    "set", "create", files.configuration, "--type", "pref3_", "--attach", "srm.txt=\(files.links)")
                var token = try #require(try await pool.grid("pref3_").first)
                #expect(token["config.json"]?["variables"]?["_token_keys"]?["$OBSID"] == "OBSID")
                #expect(token["config.json"]?["container"]?["singularity"]?["SIMG"] == "shub://user/collection:tag")
                var design = DesignDocument(name: "pref3_")
                for view in TokenView.ofStates { design.views[view.name] = view.functions(forType: "pref3_") }
                design.views["overview_view"] = TokenReduceView().functions(forType: "pref3_")
                try await pool.database.push(design)
                #expect(try await overview(pool, "pref3_") == ["todo 1"])
                token.input = "echo $$ > /dev/null; exit 0"
                #expect(try await pool.pool.save(token) != .superseded(nil))
                // A token without scrub_count and exit_code kills PiCaS' worker; those made here have all it needs.
                let end = try await Picas.start(
                    "act.py", ["\(pool.folder)/journal", #"{"design_doc": "pref3_", "run": {"max_scrub": 1}}"#],
                    in: pool
                ).end(within: .seconds(60))
                #expect(end.status == 0, "\(end.errors.suffix(1500))")
                token = try await pool.pool.token(token.id)
                #expect(token.status == "done" && token.output == 0 && token["times"]?["done"] != nil)
                #expect(token.document.attachments.names.contains("srm.txt"))
                #expect(try await overview(pool, "pref3_") == ["done 1"])
            }
        }

        @Test("scenario 15: the real GRID_LRT creates, lists and resets, and our worker runs what it made")
        func real() async throws {
            try await withPool { pool in
                let files = try write(pool)
                let ids = ["L1_SB000", "L1_SB001", "L1 + ü"]
                let made = try await Picas.start(
                    "grid_lrt.py", ["create", "pref3_", files.configuration, files.links] + ids, in: pool
                ).end(within: .seconds(120))
                #expect(made.status == 0, "\(made.errors.suffix(2000))")
                var tokens = try await pool.grid("pref3_")
                #expect(Set(tokens.map(\.id)) == Set(ids))
                #expect(tokens.allSatisfy { $0.state == .todo && $0.exitCode == nil && $0["scrub_count"] == nil })
                #expect(try await pool.rows("pref3_", "todo").count == 3)
                #expect(try await overview(pool, "pref3_") == ["todo 3"])

                // They lack PiCaS' fields, over which its workers stumble.
                try await pool.tokenpool(
                    "work", "--view", "pref3_/todo", "--quiet", "--", "sh", "-c",
                    #"cat $SRMFILE; test $OBSID = L658346 && test "$1" != L1_SB001"#, "sh", "{id}")
                tokens = try await pool.grid("pref3_")
                for token in tokens {
                    let failed = token.id == "L1_SB001"
                    #expect(token.state == (failed ? .error : .done), "\(token.document)")
                    #expect(token.status == (failed ? "error" : "done") && token.output == (failed ? 1 : 0))
                    let log = try await pool.tokenpool("token", "log", token.id)
                    #expect(log.output.hasPrefix("srm://srm.grid.sara.nl"))
                }
                #expect(try await overview(pool, "pref3_") == ["done 2", "error 1"])
                let listed = try await Picas.run("grid_lrt.py", "listed", "pref3_", "error", in: pool)
                #expect(listed.lines == [#"["L1_SB001"]"#], "\(listed.errors.suffix(500))")
                try await Picas.run("grid_lrt.py", "reset", "pref3_", "L1_SB001", in: pool)
                let reset = try await pool.pool.token("L1_SB001")
                #expect(reset.state == .todo && reset.status == "reset" && reset.scrubCount == 1)
                try await pool.tokenpool("work", "--view", "pref3_/todo", "--quiet", "--", "true")
                #expect(try await pool.pool.token("L1_SB001").status == "done")
                let views = try await Picas.run("grid_lrt.py", "views", "pref3_", in: pool)
                #expect(views.lines.last == #""1.0.7""#)
                #expect(try JSON(parsing: views.lines[0]).arrayValue?.count == 5)
            }
        }
    }
}

extension JourneyPool {
    /// The tokens of a type of GRID_LRT.
    func grid(_ type: String) async throws -> [Token] {
        var query = ViewQuery()
        query.includeDocuments = true
        return try await database.allDocuments(query).rows.compactMap(\.document).filter {
            $0["type"]?.stringValue == type && $0["lock"] != nil
        }.map(Token.init)
    }
}
