import CouchDocument
import Foundation
import Testing

extension Interop {
    @Suite("Our ddisp: projects", .serialized)
    struct DdispProjectTests {
        @Test("project create reads lines with attributes, and prints the number")
        func lines() async throws {
            let alice = try await DispatcherStage.shared.value.person("alice")
            try alice.write("test:file_01.dat\n\n test:a+b&c%d x=1 y=2.5 z=null t=true s=True e=\n", to: "list")
            let number = try await alice.ddisp(
                "project", "create", "-a", "x=0 w=common", "-A", "n=7 tag=a:b", "-l", "list"
            ).lines[0]
            let project = try await alice.show(number)
            #expect(project["project_id"] == JSON.integer(Int(number) ?? 0))
            #expect(project["attributes"] == ["n": 7, "tag": "a:b"])
            #expect(project["worker_timeout"]?.numberValue == 43200)
            #expect(project["idle_timeout"]?.numberValue == 259_200)
            let attributes = project.files("attributes")
            #expect(attributes["file_01.dat"] == ["w": "common", "x": 0])
            let second = attributes["a+b&c%d"]
            #expect(second?["x"] == 1)
            #expect(second?["y"]?.numberValue == 2.5)
            #expect(second?["z"] == .null)
            #expect(second?["t"] == true)
            #expect(second?["s"] == "True")
            #expect(second?["e"] == "")
        }

        @Test("project create reads a JSON list, from a file or stdin; attributes of files win over common ones")
        func json() async throws {
            let alice = try await DispatcherStage.shared.value.person("alice")
            let list = #"["test:file_01.dat", {"namespace": "test", "name": "b c", "attributes": {"k": [1]}}]"#
            try alice.write(#"{"k": 2, "m": 3}"#, to: "common.json")
            let number = try await alice.ddisp(
                "project", "create", "-a", "@common.json", "-j", "-", input: list
            ).lines[0]
            let attributes = try await alice.show(number).files("attributes")
            #expect(attributes == ["file_01.dat": ["k": 2, "m": 3], "b c": ["k": [1], "m": 3]])
        }

        @Test("time-outs have units or are none; users and roles may be listed")
        func options() async throws {
            let alice = try await DispatcherStage.shared.value.person("alice")
            let number = try await alice.project(
                ["test:file_01.dat"], "-w", "none", "-t", "2.5h", "-u", "bob,dave", "-r", "production")
            let project = try await alice.show(number)
            #expect(project["worker_timeout"] == .null)
            #expect(project["idle_timeout"]?.numberValue == 9000)
            #expect(project["users"] == ["bob", "dave"])
            #expect(project["roles"] == ["production"])
            let short = try await alice.project(["test:file_01.dat"], "-w", "90")
            #expect(try await alice.show(short)["worker_timeout"]?.numberValue == 90)
        }

        @Test("-p json and -p pprint print the project as Python would")
        func formats() async throws {
            let alice = try await DispatcherStage.shared.value.person("alice")
            let json = try await alice.ddisp(
                "project", "create", "-p", "json", "-l", "-", input: "test:file_01.dat\n")
            #expect(json.output.hasPrefix("{\n  \"active\": true,\n  \"attributes\": {},\n"))
            #expect(try JSON(parsing: json.output)["file_handles"]?.arrayValue?.count == 1)
            let pprint = try await alice.ddisp(
                "project", "create", "-p", "pprint", "-l", "-", input: "test:file_01.dat\n")
            #expect(pprint.output.hasPrefix("{'active': True,\n 'attributes': {},\n"))
        }

        @Test(
            "what can not be understood creates nothing, and is told in a line",
            arguments: [
                (["-l", "-"], "", 1, "Empty file list\n"),
                (["-l", "-"], "test:a\nnocolon\n", 1, "stdin:2: \"nocolon\" is no namespace:name\n"),
                (["-l", "-"], "test:a x\n", 1, "stdin:1: \"x\" is no name=value\n"),
                (
                    ["-j", "-"], "[{\"name\":\"x\"}]", 1,
                    "stdin, file 1: File specification must include namespace and name\n"
                ),
                (["-j", "-"], "{", 1, "- is no JSON: "),
                (["-j", "-"], "{}", 1, "stdin: expected a JSON list of files\n"),
                (["-l", "nowhere"], "", 1, "can not read nowhere: "),
                ([], "", 2, "Use exactly one of: an inline MQL query, -q <file with MQL query>, "),
                (["-l", "-", "-j", "-"], "", 2, "Use exactly one of: "),
                (
                    ["-w", "soon", "-l", "-"], "test:a\n", 2,
                    "-w wants seconds, or a number with s, m, h or d, or none; not \"soon\"\n"
                ),
                (["-A", "x", "-l", "-"], "test:a\n", 2, "-A: \"x\" is no name=value\n"),
                (["-p", "xml", "-l", "-"], "test:a\n", 2, "The value 'xml' is invalid for '-p <format>'"),
                (["-z"], "", 2, "Unknown option '-z'"),
                (["-u", "stranger", "-l", "-"], "test:a\n", 1, "there is no user \"stranger\""),
            ] as [([String], String, Int32, String)])
        func refused(options: [String], input: String, status: Int32, line: String) async throws {
            let alice = try await DispatcherStage.shared.value.person("alice")
            let result = try await Program.run(
                alice.stage.link, ["project", "create"] + options, environment: alice.environment, folder: alice.home,
                input: input)
            #expect(result.status == status)
            #expect(result.output == "")
            #expect(result.errors.hasPrefix(line), "\(result.errors)")
            #expect(result.errors.split(separator: "\n").count == 1)
        }

        @Test("project show prints the page of the documentation")
        func page() async throws {
            let alice = try await DispatcherStage.shared.value.person("alice")
            let number = try await alice.project(
                ["test:file_02.dat", "test:file_01.dat", "nons:none"], "-A", "step=final list=1", "-u", "dave,bob")
            let page = try await alice.ddisp("project", "show", number).lines
            #expect(page[0] == "Project ID:          \(number)")
            #expect(page[1] == "Owner:               alice")
            #expect(page[2].wholeMatch(of: /Created:             \d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d UTC/) != nil)
            #expect(
                page.dropFirst(3) == [
                    "Ended:               ", "Query:               ", "Status:              active",
                    "Worker timeout:      43200.0", "Idle timeout:        259200.0",
                    "Authorized users:    bob, dave", "           roles:    ", "Project Attributes: ",
                    "  step            = final", "  list            = 1", "Handles:",
                    " Status Available  Replicas Attempts Timeouts Worker File            ",
                    "------- --------- --------- -------- -------- ------ ----------------",
                    "initial       yes    2/2           0        0      - test:file_01.dat",
                    "initial       yes    2/2           0        0      - test:file_02.dat",
                    "initial        no    0/0           0        0      - nons:none       ",
                    "------- --------- --------- -------- -------- ------ ----------------",
                ])
            let replicas = try await alice.ddisp("project", "show", "-r", number).output
            #expect(replicas.contains(" DISK_A     yes root://a.example.org//data/file_01.dat"))
        }

        @Test(
            "project show -a prints attributes, -f the names of files in a state; a project that is not there is told")
        func parts() async throws {
            let alice = try await DispatcherStage.shared.value.person("alice")
            try alice.write(#"{"b": [1, null], "a": "x y", "c": true}"#, to: "attributes.json")
            let number = try await alice.project(
                ["test:file_01.dat", "test:file_02.dat", "nons:none"], "-A", "@attributes.json")
            #expect(
                try await alice.ddisp("project", "show", "-a", number).output == "a x y\nb [1, None]\nc True\n")
            #expect(
                try await alice.ddisp("project", "show", "-a", "-j", number).output
                    == "{\n  \"a\": \"x y\",\n  \"b\": [\n    1,\n    null\n  ],\n  \"c\": true\n}\n")
            _ = try await alice.ddisp("worker", "next", "-w", "w", "-t", "5", number)
            for (state, files) in [
                ("all", ["test:file_01.dat", "test:file_02.dat", "nons:none"]), ("reserved", ["test:file_01.dat"]),
                ("initial", ["test:file_02.dat", "nons:none"]), ("available", ["test:file_02.dat"]), ("done", []),
            ] {
                #expect(try await alice.ddisp("project", "show", "-f", state, number).lines == files)
            }
            let unknown = try await alice.ddisp("project", "show", "-f", "odd", number, status: 2)
            #expect(unknown.errors.contains("'odd' is invalid"))
            #expect(
                try await alice.ddisp("project", "show", "999999", status: 1).output == "Project 999999 not found\n")
            _ = try await alice.ddisp("project", "show", "x", status: 2)
        }

        @Test("project copy takes files and attributes over, with what is overridden")
        func copy() async throws {
            let stage = try await DispatcherStage.shared.value
            let (alice, dave) = (try await stage.person("alice"), try await stage.person("dave"))
            let number = try await alice.project(["test:file_01.dat k=1 m=2"], "-A", "n=1 z=2", "-w", "77", "-t", "1h")
            let copy = try await dave.ddisp("project", "copy", "-A", "n=3", "-a", "k=9", number).lines[0]
            let project = try await dave.show(copy)
            #expect(project["owner"] == "dave")
            #expect(project["attributes"] == ["n": 3, "z": 2])
            #expect(project.files("attributes") == ["file_01.dat": ["k": 9, "m": 2]])
            #expect(project["worker_timeout"]?.numberValue == 77)
            let other = try await alice.ddisp("project", "copy", "-w", "2m", "-t", "none", "-p", "json", number)
            let changed = try JSON(parsing: other.output)
            #expect(changed["worker_timeout"]?.numberValue == 120)
            #expect(changed["idle_timeout"] == .null)
            let missing = try await alice.ddisp("project", "copy", "999999", status: 1)
            #expect(missing.errors.hasPrefix("Project not found"))
        }

        @Test("project list and search print tables, by owner, state and attributes")
        func lists() async throws {
            let stage = try await DispatcherStage.shared.value
            let (alice, bob) = (try await stage.person("alice"), try await stage.person("bob"))
            let tag = "t" + UUID().uuidString.prefix(8).lowercased()
            let number = try await alice.project(["test:file_01.dat", "test:file_02.dat"], "-A", "tag=\(tag) n=7")
            _ = try await alice.ddisp("worker", "next", "-w", "w", "-t", "5", number)
            _ = try await alice.ddisp("worker", "done", "-w", "w", number, "test:file_01.dat")
            let list = try await alice.ddisp("project", "list", "-a", "tag=\(tag)").lines
            #expect(list[0] == "Project id Owner             Created  State Done/Failed/Total")
            #expect(list[1] == "---------- ----- ------------------- ------ -----------------")
            #expect(list[2].hasPrefix(RuledLine.padded(number, 10) + " alice 20"))
            #expect(list[2].hasSuffix(" active             1/0/2"))
            #expect(list.count == 4 && list[3] == list[1])
            func listed(_ person: DispatcherStage.Person, _ options: String...) async throws -> [String] {
                let words = ["project", "list", "-j", "-a", "tag=\(tag)"] + options
                let result = try await Program.run(
                    stage.link, words, environment: person.environment, folder: person.home)
                #expect(result.status == 0, "\(result.errors)")
                let projects = try JSON(parsing: result.output).arrayValue ?? []
                return projects.map { $0["project_id"]?.description ?? "" }
            }
            #expect(try await listed(bob) == [])
            #expect(try await listed(bob, "-u", "all") == [number])
            #expect(try await listed(bob, "-u", "alice") == [number])
            _ = try await alice.ddisp("project", "cancel", number)
            #expect(try await listed(alice) == [])
            #expect(try await listed(alice, "-s", "all") == [number])
            #expect(try await listed(alice, "-s", "cancelled") == [number])
            #expect(try await listed(alice, "-s", "cancelled", "-n", "cancelled") == [])
            _ = try await alice.ddisp("project", "list", "-s", "odd", status: 2)

            let query = "tag = \(tag) and n > 6"
            let found = try await bob.ddisp("project", "search", "-s", "all", query).lines
            #expect(found[0] == "project id      owner           created             state           done/failed/files")
            #expect(found[1] == "--------------- --------------- ------------------- --------------- -----------------")
            #expect(
                found[2].hasPrefix(number.padding(toLength: 15, withPad: " ", startingAt: 0) + " alice           20"))
            #expect(found[2].hasSuffix("       cancelled             1/0/2"))
            #expect(try await bob.ddisp("project", "search", query).lines.count == 3)
            #expect(try await bob.ddisp("project", "search", "-s", "all", "-u", "bob", query).lines.count == 3)
            let fromStdin = try await bob.ddisp("project", "search", "-j", "-s", "all", "-q", "-", input: query)
            #expect(try JSON(parsing: fromStdin.output).arrayValue?.count == 1)
            let wrong = try await bob.ddisp("project", "search", "n >", status: 1)
            #expect(wrong.errors.split(separator: "\n").count == 1)
        }

        @Test("project restart puts files back by state or by name; cancel, activate and delete do what they say")
        func changes() async throws {
            let alice = try await DispatcherStage.shared.value.person("alice")
            let names = ["file_01.dat", "file_02.dat", "file_03.dat"]
            let number = try await alice.project(names.map { "test:" + $0 })
            func states() async throws -> [String] {
                let states = try await alice.show(number).files("state")
                return names.map { states[$0]?.stringValue ?? "" }
            }
            func workThrough() async throws {
                for (name, verdict) in zip(names, [["done"], ["failed", "-f"], []] as [[String]]) {
                    _ = try await alice.ddisp("worker", "next", "-w", "w", "-t", "5", number)
                    guard !verdict.isEmpty else { continue }
                    let result = try await Program.run(
                        alice.stage.link, ["worker"] + verdict + ["-w", "w", number, "test:" + name],
                        environment: alice.environment, folder: alice.home)
                    #expect(result.status == 0 && result.output == "", "\(result.errors)")
                }
            }
            try await workThrough()
            #expect(try await states() == ["done", "failed", "reserved"])
            #expect(try await alice.ddisp("project", "restart", "-f", number).output == "")
            #expect(try await states() == ["done", "initial", "reserved"])
            _ = try await alice.ddisp("project", "restart", "-dr", number)
            #expect(try await states() == ["initial", "initial", "initial"])
            _ = try await alice.ddisp("worker", "next", "-w", "w", "-t", "5", number)
            _ = try await alice.ddisp("project", "restart", "-a", number)
            #expect(try await states() == ["initial", "initial", "initial"])
            _ = try await alice.ddisp("worker", "next", "-w", "w", "-t", "5", number)
            _ = try await alice.ddisp(
                "project", "restart", number, "test:file_01.dat", "test:file_02.dat", "test:file_03.dat")
            #expect(try await states() == ["initial", "initial", "initial"])
            let none = try await alice.ddisp("project", "restart", number, status: 2)
            #expect(none.errors.hasPrefix("One or more handle states need to be selected"))
            _ = try await alice.ddisp("project", "restart", number, "nocolon", status: 2)

            #expect(try await alice.ddisp("project", "cancel", number).output == "")
            #expect(try await alice.ddisp("worker", "next", "-w", "w", "-t", "5", number, status: 1).output == "done\n")
            let activated = try await alice.ddisp("project", "activate", "-j", number)
            #expect(try JSON(parsing: activated.output)["state"] == "active")
            let cancelled = try await alice.ddisp("project", "cancel", "-j", number)
            #expect(cancelled.output.contains("\n  \"state\": \"cancelled\","))
            #expect(try await alice.ddisp("project", "delete", number).output == "")
            let gone = try await alice.ddisp("project", "delete", number, status: 1)
            #expect(gone.errors.hasPrefix("Project not found"))
        }
    }
}

/// Text to the right of its column.
enum RuledLine {
    static func padded(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
