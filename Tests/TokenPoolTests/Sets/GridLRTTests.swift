import CouchDocument
import Foundation
import Testing

@testable import TokenPool

@Suite("Configurations of GRID_LRT")
struct GridLRTTests {
    private static let yaml = """
        apiVersion: 0
        Token:
            OBSID: ""
            STARTSB: 000
            lock: 5
            done: 6
            output: 0
            status: queued
            times: {}
            PIPELINE_STEP: "pref_cal1"
            RESULTS_DIR: "gsiftp://host/dir"
            type: demo
        Sandbox:
            name: pref_cal1
            git: {location: 'https://example.org/x.git', branch: prefactor}
            git_scripts:
        Shell_variables:
            '_id': '$TOKEN'
            OBSID: '$OBSID'
            CAL_OBSID: "$CAL_OBSID"
            '_attachments':
                Pre-Facet.parset: '$PARSET'
                srm.txt: srm.txt
        """
    private static let job = """
        {"PicasApiVersion": 0.5,
         "Job": {"NCPU": 6, "variables": {"OBSID": "L1", "status": "from job", "STARTSB": "000"}},
         "Token": {"_id": "targ1_", "status": "queued", "times": {}, "upload": {"gzip": false},
                   "variables": {"_token_keys": {"$OBSID": "OBSID", "$GONE": "GONE"}, "_attachments": {"$PARSET": "a/b.parset"}}},
         "container": {"singularity": {"SIMG": "shub://x"}}, "sandbox": {"git": {"url": "https://example.org/y.git"}}}
        """

    @Test("YAML of 0.5 gives create_dict_tokens' ids and fields; lock, done, type and output of the file never win")
    func oldYAML() throws {
        let list = (100..<123).map { "srm://h/x/L229507_SB\($0)_uv.tar\n" }.joined()
        let scratch = try Scratch(["c.cfg": Self.yaml, "l.txt": list, "x.parset": "a=b\n"])
        var options = SetConfiguration.Options()
        options.gridLRT.srmList = scratch.path("l.txt")
        options.gridLRT.attachments = [("Pre-Facet.parset", scratch.path("x.parset"))]
        let configuration = try SetConfiguration(file: scratch.path("c.cfg"), options: options)
        #expect(configuration.name == "t_demo_L229507_pref_cal1")
        let found = try configuration.tokens().map { try $0.get() }
        #expect(found.map(\.id) == ["100", "110", "120"].map { "t_demo_L229507_pref_cal1_SB\($0)" })
        let token = found[1]
        #expect(token.type == "demo" && token.state == .todo && token["output"] == "" && token["status"] == "queued")
        #expect(token["STARTSB"] == "110" && token["OBSID"] == "L229507" && token["hostname"] == "")
        #expect(token["created"]?.numberValue == Double(options.gridLRT.created.milliseconds) / 1000)
        #expect(content("srm.txt", of: token)?.split(separator: "\n").count == 10)
        #expect(content("Pre-Facet.parset", of: token) == "a=b\n")
        #expect(token.pool.environment == ["TOKEN": "{token}", "OBSID": "{OBSID}", "PARSET": "Pre-Facet.parset"])
        #expect(token.pool.sandbox?["git"]?["branch"] == "prefactor")
    }

    @Test("without a list the file makes the one token that its defaults name")
    func alone() throws {
        let scratch = try Scratch(["c.cfg": Self.yaml])
        #expect(try scratch.tokens("c.cfg").map(\.id) == ["t_demo_L000000_pref_cal1_SB000"])
        var options = SetConfiguration.Options()
        options.gridLRT.append = "L7"
        options.gridLRT.idPrefix = "ABN"
        options.gridLRT.type = "other"
        #expect(try scratch.tokens("c.cfg", options: options).map(\.id) == ["t_other_L7_pref_cal1_ABN000"])
    }

    @Test("JSON of 1.0 gives the builders' fields: variables of the job win, those of the token go to config.json")
    func newJSON() throws {
        let scratch = try Scratch(["targ1.json": Self.job])
        let token = try #require(scratch.tokens("targ1.json").first)
        #expect(token.id == "targ1_" && token.type == "targ1")
        #expect(token["status"] == "from job" && token["OBSID"] == "L1" && token["upload"] == ["gzip": false])
        #expect(token["NCPU"] == nil && token["variables"] == nil && token["PICAS_API_VERSION"] == "1.0.7")
        #expect(token["config.json"]?.objectValue?.names == ["variables", "container", "sandbox"])
        #expect(token["config.json"]?["variables"]?["_token_keys"]?["$OBSID"] == "OBSID")
        #expect(token.pool.environment == ["OBSID": "{OBSID}", "PARSET": "a_b.parset"])
    }

    @Test("the builders leave their configuration as it was and refuse an older version")
    func builders() throws {
        let configuration = try #require(JSON(parsing: Self.job).objectValue)
        let first = try TokenDictBuilder(configuration)
        #expect(try TokenDictBuilder(configuration).fields == first.fields)
        var token = Token(id: "mine", type: "x")
        token.build(first)
        #expect(token.id == "targ1_" && token.state == .todo)
        #expect(throws: PoolError.self) { try TokenDictBuilder(["PicasApiVersion": .double(0.4)!]) }
        let scratch = try Scratch(["c.cfg": Self.yaml, "j.json": Self.job])
        #expect(try TokenJSONBuilder(file: scratch.path("j.json")).fields == first.fields)
        #expect(try TokenYAMLBuilder(file: scratch.path("c.cfg")).fields["RESULTS_DIR"] == "gsiftp://host/dir")
    }

    @Test("every real configuration gives its token", .enabled(if: RealData.folder != nil, RealData.reason))
    func realFiles() throws {
        let expected = [
            "DYSCO_parset.cfg": "t_dysco_L000000_pref_dysco_SB000", "NDPPP_parset.cfg": "t_test_L000000_NDPPP_SB000",
            "bash_file.cfg": "t_test_L000000_bash_script_1_SB000",
            "steps-ddf_ampphase.cfg": "t_ddf-pipeline_L000000_ddf_ampphase_SB000",
            "steps-pref_cal1.cfg": "t_test_L000000_pref_cal1_SB000",
            "steps-pref_cal2.cfg": "t_test_L000000_pref_cal2_SB000",
            "steps-pref_targ1.cfg": "t_test_L000000_pref_targ1_SB000",
            "steps-pref_targ2.cfg": "t_test_L000000_pref_targ2_SB000",
            "tests-sandbox_config_NDPPP_from_git.cfg": "t_test_L000000_SB000",
            "tutorial.cfg": "t_tutorial_L000000_SB000",
            "v1.0.7-steps-pref_targ2.cfg": "t_test_L000000_pref_targ2_SB000",
            "wsclean.cfg": "t_test_L000000_imaging1_SB000",
            "CI-move.json": "CI_move", "cal_pref3.json": "cal_pref3", "targ1_pref3.json": "targ1_",
            "targ2_pref3.json": "targ2_",
        ]
        var seen: [String: String] = [:]
        for folder in ["token-configs-yaml", "token-configs-json"] {
            for name in RealData.files(folder) {
                let configuration = try SetConfiguration(file: RealData.path(folder + "/" + name))
                let tokens = try configuration.tokens().map { try $0.get() }
                #expect(tokens.count == 1)
                seen[name] = tokens.first?.id
            }
        }
        #expect(seen == expected)
    }

    @Test(
        "every real list is cut as GRID_LRT cuts it; the mixed one is refused at its line",
        .enabled(if: RealData.folder != nil, RealData.reason))
    func realLists() throws {
        let slices = { (name: String) in try SRMList(file: RealData.path("srm-lists/" + name)).slices() }
        let fifty = try slices("srm_50_sara.txt")
        #expect(fifty.map(\.name) == ["100", "110", "120", "130", "140", "150"])
        #expect(fifty.map(\.links.count) == [10, 10, 10, 10, 10, 1])
        #expect(try slices("sksp-2016/Bootes_2014-08-11.txt").count == 37)
        #expect(try slices("sksp-2016/P8Hetdex28_2014-07-28.txt").count == 25)
        #expect(try slices("cal1_srm_test.txt").map(\.links.count).reduce(0, +) == 320)
        #expect(try slices("dysco_test.txt").map(\.links.count).reduce(0, +) == 25)
        let mixed = RealData.path("srm-lists/sksp-2016/3C196_2014-06-20.txt")
        #expect { try SRMList(file: mixed) } throws: {
            "\($0)".hasSuffix(
                "3C196_2014-06-20.txt:2: the link is of observation L232239, those before it are of L260801; one list holds one observation"
            )
        }
        #expect(try SRMList(file: mixed, checksObservation: false).links.count == 244)
    }

    @Test("files named on the command line are relative to the current folder, and missed by their option's name")
    func commandLine() throws {
        let scratch = try Scratch(["c.cfg": Self.yaml])
        var options = SetConfiguration.Options()
        options.gridLRT.srmList = "nowhere/l.txt"
        #expect {
            try scratch.tokens("c.cfg", options: options)
        } throws: {
            "\($0)" == "--srm-list: file \"nowhere/l.txt\" does not exist (looked for nowhere/l.txt)"
        }
    }

    @Test("links of one subband and of subbands beyond 999 are all kept")
    func kept() throws {
        var list = SRMList()
        for number in [998, 999, 1000, 1001, 1001] { try list.append("srm://h/L12345_SB\(number)_x.tar\r\n") }
        #expect(try list.slices(of: 2).map(\.name) == ["998", "1000"])
        #expect(try list.slices(of: 2).map(\.links.count) == [2, 3])
        #expect(list.links[0] == "srm://h/L12345_SB998_x.tar")
    }
}
