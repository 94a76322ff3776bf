import CouchDocument
import Foundation
import TestSupport
import Testing

extension Interop {
    @Suite("Our ddisp: workers, files, storage elements, signing in", .serialized)
    struct DdispWorkerTests {
        @Test("worker id is made when there is none, and kept in the working directory")
        func identity() async throws {
            let carol = try await DispatcherStage.shared.value.person("carol")
            let made = try await carol.ddisp("worker", "id").lines[0]
            #expect(made.wholeMatch(of: /[0-9a-f]{8}/) != nil)
            #expect(try carol.read(".data_dispatcher_worker_id") == made)
            #expect(try await carol.ddisp("worker", "id").lines == [made])
            #expect(try await carol.ddisp("worker", "id", "my_worker_1").output == "my_worker_1\n")
            #expect(try await carol.ddisp("worker", "id").output == "my_worker_1\n")
            let new = try await carol.ddisp("worker", "id", "-n").lines[0]
            #expect(new != "my_worker_1" && new.count == 8)
        }

        @Test("worker next prints the file's name, and the nearest replica of the site comes first in its JSON")
        func next() async throws {
            let alice = try await DispatcherStage.shared.value.person("alice")
            let number = try await alice.project(["test:file_01.dat k=1", "test:file_02.dat"], "-A", "step=final")
            let first = try await alice.ddisp("worker", "next", "-j", "info.json", "-w", "w 1&2", "-c", "SITE2", number)
            #expect(first.output == "test:file_01.dat\n")
            let text = try alice.read("info.json")
            #expect(text.hasPrefix("{\n  \"attempts\": 1,\n  \"attributes\": {\n    \"k\": 1\n  },\n"))
            let information = try JSON(parsing: text)
            let replicas = information["replicas"]?.arrayValue ?? []
            #expect(replicas.map { $0["rse"] } == ["DISK_B", "DISK_A"])
            #expect(replicas.map { $0["preference"] } == [3, 90])
            #expect(information["project_attributes"] == ["step": "final"])
            #expect(information["worker_id"] == "w 1&2")
            // Without a file's name JSON goes to stdout, wherever -j stands.
            let second = try await alice.ddisp("worker", "next", "-w", "w", "-t", "5", "-j", number)
            #expect(try JSON(parsing: second.output)["name"] == "file_02.dat")
            let none = try await alice.ddisp("worker", "next", "-j", "-t", "1", number, status: 1)
            #expect(none.output == "{\"state\": \"timeout\"}\n")
            #expect(try await alice.ddisp("worker", "next", "-t", "0", number, status: 1).output == "timeout\n")
            _ = try await alice.ddisp("worker", "done", "-w", "w 1&2", number, "all")
            _ = try await alice.ddisp("worker", "done", "-w", "w", number, "all")
            #expect(try await alice.ddisp("worker", "next", number, status: 1).output == "done\n")
            #expect(
                try await alice.ddisp("worker", "next", "-j", number, status: 1).output == "{\"state\": \"done\"}\n")
        }

        @Test("worker next waits for a file that is given back, without asking again and again")
        func wait() async throws {
            let alice = try await DispatcherStage.shared.value.person("alice")
            let number = try await alice.project(["test:file_01.dat"])
            _ = try await alice.ddisp("worker", "next", "-w", "first", number)
            let waiting = try Program.start(
                alice.stage.link, ["worker", "next", "-w", "second", "-t", "100", number],
                environment: alice.environment, folder: alice.home)
            _ = try await alice.ddisp("worker", "failed", "-w", "first", number, "test:file_01.dat")
            let result = try await waiting.end(within: .seconds(60))
            #expect(result.output == "test:file_01.dat\n")
        }

        @Test("trouble is never done: not allowed, no such project, no token, no server")
        func trouble() async throws {
            let stage = try await DispatcherStage.shared.value
            let (alice, dave) = (try await stage.person("alice"), try await stage.person("dave"))
            let number = try await alice.project(["test:file_01.dat"])
            let forbidden = try await dave.ddisp("worker", "next", "-t", "5", number, status: 1)
            #expect(forbidden.output == "" && forbidden.errors.hasPrefix("Not authorized"))
            #expect(
                try await alice.ddisp("worker", "next", "-t", "5", "999999", status: 1).output == "project not found\n")
            var nobody = try await stage.person("nobody")
            let unknown = try await nobody.ddisp("worker", "next", "-t", "5", number, status: 1)
            #expect(unknown.output == "" && unknown.errors.hasPrefix("Token not found"))
            nobody.environment["DATA_DISPATCHER_URL"] = "http://127.0.0.1:1/data"
            let unreachable = try await nobody.ddisp("worker", "next", "-t", "5", number, status: 1)
            #expect(unreachable.output == "" && unreachable.errors.split(separator: "\n").count == 1)
            // `tokenpool` says it with its exit codes.
            _ = try await nobody.tokenpool("worker", "next", "-t", "5", number, status: 3)
            _ = try await dave.tokenpool("worker", "next", "-t", "5", number, status: 4)
            _ = try await alice.ddisp("worker", "next", "x", status: 2)
            _ = try await alice.ddisp("worker", "next", status: 2)
            _ = try await alice.ddisp("worker", "next", "-t", "soon", number, status: 2)
        }

        @Test("worker done and failed release one file or all of the worker's; another's are refused")
        func release() async throws {
            let alice = try await DispatcherStage.shared.value.person("alice")
            let odd = "test:a+b&c%d#e ü:f"
            try alice.write("[\"test:file_01.dat\", \"test:file_02.dat\", \"\(odd)\"]", to: "list.json")
            let number = try await alice.ddisp("project", "create", "-A", "virtual=true", "-j", "list.json").lines[0]
            _ = try await alice.ddisp("worker", "id", "mine")
            for _ in 0..<3 { _ = try await alice.ddisp("worker", "next", number) }
            let listed = try await alice.ddisp("worker", "list", number).lines
            #expect(
                Array(listed.prefix(3)) == ["project_id: \(number)", "namespace : test", "name      : file_01.dat"])
            #expect(listed.filter { $0 == "worker_id : mine" }.count == 3)
            let asJSON = try await alice.ddisp("worker", "list", "-j", "-w", "mine", number)
            #expect(try JSON(parsing: asJSON.output).arrayValue?.count == 3)
            #expect(try await alice.ddisp("worker", "list", "-w", "other", number).output == "")
            let wrong = try await alice.ddisp("worker", "done", "-w", "other", number, odd, status: 1)
            #expect(wrong.errors.hasPrefix("Not authorized: wrong worker_id"))
            #expect(try await alice.ddisp("worker", "done", number, odd).output == "")
            let again = try await alice.ddisp("worker", "done", number, odd, status: 1)
            #expect(again.errors.hasPrefix("Handle not found or was not reserved"))
            #expect(try await alice.ddisp("worker", "failed", "-f", number, "all").output == "")
            let states = try await alice.show(number).files("state")
            #expect(states == ["file_01.dat": "failed", "file_02.dat": "failed", "a+b&c%d#e ü:f": "done"])
            _ = try await alice.ddisp("worker", "done", number, status: 2)
            let missing = try await alice.ddisp("worker", "list", "999999", status: 1)
            #expect(missing.errors == "project not found\n")
        }

        @Test(
            "file list is the table of the documentation, filtered by state and storage element; file show is one file")
        func files() async throws {
            let alice = try await DispatcherStage.shared.value.person("alice")
            let number = try await alice.project(["test:file_01.dat", "test:file_04.dat", "nons:none"])
            _ = try await alice.ddisp("worker", "next", "-w", "635c17c6", number)
            #expect(
                try await alice.ddisp("file", "list", number).lines == [
                    "  Status Available  Replicas Attempts Timeouts   Worker File            ",
                    "-------- --------- --------- -------- -------- -------- ----------------",
                    " initial       yes    1/1           0        0        - test:file_04.dat",
                    "reserved       yes    2/2           1        0 635c17c6 test:file_01.dat",
                    " initial        no    0/0           0        0        - nons:none       ",
                    "-------- --------- --------- -------- -------- -------- ----------------",
                ])
            #expect(try await alice.ddisp("file", "list", "-s", "reserved", number).lines.count == 4)
            let atB = try await alice.ddisp("file", "list", "-j", "-r", "DISK_B", number)
            #expect(try JSON(parsing: atB.output).arrayValue?.map { $0["name"] } == ["file_01.dat"])
            let show = try await alice.ddisp("file", "show", number, "test:file_01.dat").lines
            #expect(
                Array(show.prefix(4)) == [
                    "project_id: \(number)", "namespace : test", "name      : file_01.dat", "state     : reserved",
                ])
            let replicas = show.drop { $0 != "replicas:" }
            #expect(
                Array(replicas.prefix(7)) == [
                    "replicas:", "  Preference:  0", "  RSE:         DISK_A", "  Path:        ",
                    "  URL:         root://a.example.org//data/file_01.dat",
                    "  URLs:        ['root://a.example.org//data/file_01.dat', "
                        + "'https://a.example.org/data/file_01.dat']", "  Available:   yes",
                ])
            let asJSON = try await alice.ddisp("file", "show", "-j", number, "test:file_01.dat")
            #expect(try JSON(parsing: asJSON.output)["replicas"]?["DISK_A"]?["available"] == true)
            #expect(
                try await alice.ddisp("file", "show", number, "test:x", status: 1).output
                    == "Handle \(number):test:x not found\n")
            #expect(
                try await alice.ddisp("file", "list", "999999", status: 1).output == "Project 999999 not found\n")
        }

        @Test("rse commands list, show and change storage elements; changes are for admins")
        func storage() async throws {
            let stage = try await DispatcherStage.start()
            let (alice, root) = (try await stage.person("alice"), try await stage.person("root1"))
            let list = try await alice.ddisp("rse", "list").lines
            #expect(
                list[0] == "Name                           Tape Status Enabled Description"
                    + String(repeating: " ", count: 49))
            #expect(
                list[2] == "DISK_A                                  up     yes Disk A"
                    + String(repeating: " ", count: 54))
            #expect(
                list.contains(
                    "DISK_DOWN                             down     yes Down" + String(repeating: " ", count: 56)))
            #expect(
                list.contains(
                    "TAPE_T                         tape     up     yes Tape T" + String(repeating: " ", count: 54)))
            let asJSON = try await alice.ddisp("rse", "list", "-j")
            #expect(asJSON.output.hasPrefix("[\n  {\n    \"add_prefix\": \"\",\n    \"description\": \"Disk A\",\n"))
            #expect(
                try await alice.ddisp("rse", "show", "TAPE_T").output == """
                    RSE:            TAPE_T
                    Preference:     0
                    Tape:           yes
                    Available:      yes
                    Pin URL:        https://tape.example.org/.well-known/wlcg-tape-rest-api
                    Poll URL:       \("")
                    Remove prefix:  /pnfs
                    Add prefix:     /tape

                    """)
            #expect(try JSON(parsing: try await alice.ddisp("rse", "show", "-j", "TAPE_T").output)["is_tape"] == true)
            #expect(try await alice.ddisp("rse", "show", "NO", status: 1).output == "RSE NO not found\n")
            let refused = try await alice.ddisp("rse", "set", "down", "DISK_A", status: 1)
            #expect(refused.errors.hasPrefix("Not authorized"))
            #expect(try await root.ddisp("rse", "set", "down", "DISK_A").output == "")
            #expect(try await alice.ddisp("rse", "show", "DISK_A").lines.contains("Available:      no"))
            #expect(try await root.ddisp("rse", "set", "up", "DISK_A").output == "")
            let made = try await root.ddisp(
                "rse", "create", "-e", "True", "-a", "true", "-t", "False", "-d", "new one", "-o", "2", "NEW")
            #expect(
                made.lines.prefix(4) == [
                    "RSE:            NEW", "Preference:     2", "Tape:           no", "Available:      yes",
                ])
            let twice = try await root.ddisp("rse", "create", "NEW", status: 1)
            #expect(twice.errors.hasPrefix("Already exists"))
            let changed = try await root.ddisp("rse", "update", "-a", "False", "-m", "/p", "-j", "NEW")
            let rse = try JSON(parsing: changed.output)
            #expect(rse["is_available"] == false && rse["add_prefix"] == "/p" && rse["description"] == "new one")
            #expect(try await root.ddisp("rse", "delete", "NEW").output == "")
            #expect(try await root.ddisp("rse", "delete", "NEW", status: 1).errors.hasPrefix("RSE NEW not found"))
            _ = try await root.ddisp("rse", "set", "sideways", "DISK_A", status: 2)
            _ = try await root.ddisp("rse", "update", "-a", "maybe", "DISK_A", status: 2)
            try await stage.end()
        }

        @Test("as tokenpool the pool's user signs in by itself, and worker list and login keep both of their meanings")
        func beside() async throws {
            let stage = try await DispatcherStage.shared.value
            var alice = try await stage.person("nobody")
            alice.environment["DATA_DISPATCHER_URL"] = nil
            alice.environment["DATA_DISPATCHER_AUTH_URL"] = nil
            alice.environment["TOKENPOOL_URL"] = "http://alice:pw-alice@" + stage.address.dropFirst("http://".count)
            let made = try await alice.tokenpool("project", "create", "-l", "-", input: "test:file_01.dat\n")
            let number = try #require(made.lines.first)
            #expect(try await alice.tokenpool("project", "show", number).lines.contains("Owner:               alice"))
            #expect(try alice.read(".token_library").hasPrefix(stage.dataURL + " "))
            #expect(try await alice.tokenpool("worker", "next", "-w", "w", number).output == "test:file_01.dat\n")
            #expect(try await alice.tokenpool("worker", "list", "-w", "w", number).lines.count == 8)
            // Somebody else's password is somebody else's token.
            alice.environment["TOKENPOOL_URL"] = "http://bob:pw-bob@" + stage.address.dropFirst("http://".count)
            _ = try await alice.tokenpool("project", "delete", number, status: 4)
            let login = try await alice.tokenpool("login", "-m", "password", "alice", input: "pw-alice\n")
            #expect(login.output.hasPrefix("User:    alice\nExpires: "))
            let wrong = try await alice.tokenpool("login", "-m", "password", "alice", input: "wrong\n", status: 4)
            #expect(wrong.errors.contains("Authentication failed"))
            _ = try await alice.tokenpool("login", "-m", "x509", "alice", status: 2)
            _ = try await alice.tokenpool("login", status: 2)
            alice.environment["TOKENPOOL_URL"] = stage.server.url
            #expect(try await alice.tokenpool("worker", "list").output.hasPrefix("WORKER"))
            let ended = try await alice.tokenpool("version")
            #expect(ended.output.hasPrefix("tokenpool "))
        }

        @Test("ddisp takes its addresses from -s and -a too, and says which is missing")
        func addresses() async throws {
            let stage = try await DispatcherStage.shared.value
            var alice = try await stage.person("alice")
            let version = try await alice.ddisp("version")
            #expect(version.lines[0] == "Server URL:     \(stage.dataURL)")
            #expect(version.lines[1].hasPrefix("Server version: tokenpool-"))
            #expect(version.lines[2].wholeMatch(of: /Client version: \d+\.\d+\.\d+.*/) != nil)
            alice.environment["DATA_DISPATCHER_URL"] = nil
            alice.environment["DATA_DISPATCHER_AUTH_URL"] = nil
            let none = try await alice.ddisp("version", status: 2)
            #expect(none.errors.hasPrefix("Server address must be specified"))
            let half = try await alice.ddisp("-s", stage.dataURL, "version", status: 2)
            #expect(half.errors.hasPrefix("Authentication server address must be specified"))
            _ = try await alice.ddisp("-s", stage.dataURL, "-a", stage.authenticationURL, "rse", "list", "-j")
            _ = try await alice.ddisp("bogus", status: 2)
            _ = try await alice.ddisp("project", "bogus", status: 2)
        }
    }
}
