import CouchDocument
import Foundation
import TestSupport
import Testing

extension Interop {
    @Suite("tokenpool work --project", .serialized, .timeLimit(.minutes(5)))
    struct ProjectWorkTests {
        /// Starts `tokenpool work --project` with a shell command that sees the did as `$1`.
        private static func start(
            _ person: DispatcherStage.Person, _ project: String, _ options: [String], shell: String
        ) throws -> RunningProgram {
            try Program.start(
                try Program.built("tokenpool"),
                ["work", "--project", project] + options + ["--", "/bin/sh", "-c", shell, "sh", "{did}", "{attempt}"],
                environment: person.environment, folder: person.home)
        }

        @Test("ends when the project is over: done, failed for good by its exit code, tried again otherwise")
        func outcomes() async throws {
            let alice = try await DispatcherStage.shared.value.person("alice")
            let number = try await alice.project((1...30).map { "w:f\($0)" }, "-A", "virtual=true")
            let worker = try Self.start(
                alice, number, ["--slots", "4", "--json", "--final-on", "7"],
                shell: """
                    case $1 in w:f3) exit 7;; w:f5) [ $2 = 1 ] && exit 65; exit 0;; w:f9) kill -9 $$;; esac
                    """)
            // f9 never ends well: somebody else ends it.
            var end: Program.Result?
            while end == nil {
                let states = try await alice.show(number).files("state")
                if states.filter({ $0.value != "initial" && $0.value != "reserved" }).count == 29 {
                    _ = try await alice.ddisp("project", "cancel", number)
                    end = try await worker.end()
                }
                if worker.hasEnded { end = try await worker.end() }
            }
            let result = try #require(end)
            #expect(result.status == 0, "\(result.errors)")
            let events = try result.lines.map { try JSON(parsing: $0) }
            func outcomes(_ did: String) -> [JSON?] {
                events.filter { $0["event"] == "ended" && $0["file"] == .string(did) }.map { $0["outcome"] }
            }
            #expect(outcomes("w:f1") == ["done"])
            #expect(outcomes("w:f3") == ["failed"])
            #expect(outcomes("w:f5") == ["retry", "done"])
            #expect(outcomes("w:f9").first == "retry")
            let last = try #require(events.last)
            #expect(last["event"] == "finished" && last["done"] == 28 && last["failed"] == 1)
            let states = try await alice.show(number).files("state")
            #expect(states["f3"] == "failed" && states["f5"] == "done")
        }

        @Test("what stands for the file goes into the command as it is, without a shell; the environment has it too")
        func placeholders() async throws {
            let alice = try await DispatcherStage.shared.value.person("alice")
            let odd = #"a b'"$(touch hurt);`&{name}%ü"#
            try alice.write(
                JSON.array([["namespace": "n s", "name": .string(odd), "attributes": ["k": [1, 2]]]]).description,
                to: "list.json")
            let number = try await alice.ddisp(
                "project", "create", "-A", "virtual=true step=x", "-j", "list.json"
            ).lines[0]
            let worker = try await alice.tokenpool(
                "work", "--project", number, "--worker", "w 1", "--", "/bin/sh", "-c",
                #"printf '%s\n' "$@" "$TOKENPOOL_DID" "$TOKENPOOL_ATTEMPT" "$TOKENPOOL_WORKER"; cat "$TOKENPOOL_FILE_INFO""#,
                "sh", "{did}", "{name}", "{attributes.k.1}", "{project_attributes.step}", "{project}", "<{slot}>", "{}")
            let did = "n s:" + odd
            #expect(
                Array(worker.lines.prefix(10)) == [did, odd, "2", "x", number, "<0>", "{}", did, "1", "w 1"])
            let information = try JSON(parsing: try #require(worker.lines.last))
            #expect(information["name"]?.stringValue == odd && information["replicas"] == [])
            #expect(!FileManager.default.fileExists(atPath: alice.home + "/hurt"))
            #expect(worker.errors.contains("\(did): done"))
            #expect(try await alice.show(number)["state"] == "done")
        }

        @Test("{url} is that of the nearest replica")
        func nearest() async throws {
            let alice = try await DispatcherStage.shared.value.person("alice")
            let number = try await alice.project(["test:file_01.dat", "test:file_02.dat"])
            let worker = try await alice.tokenpool(
                "work", "--project", number, "--site", "SITE2", "--max-tokens", "1", "--", "echo", "{rse}", "{url}")
            #expect(worker.output == "DISK_B root://b.example.org//data/file_01.dat\n")
            let states = try await alice.show(number).files("state")
            #expect(states == ["file_01.dat": "done", "file_02.dat": "initial"])
        }

        @Test("SIGTERM ends the commands with all that they started, and their files go back")
        func stopping() async throws {
            let alice = try await DispatcherStage.shared.value.person("alice")
            let number = try await alice.project((1...5).map { "w:f\($0)" }, "-A", "virtual=true")
            let worker = try Self.start(
                alice, number, ["--slots", "3"], shell: "touch begun-${1#w:}; exec sleep 1000")
            func begun() -> Int {
                (1...5).count { FileManager.default.fileExists(atPath: alice.home + "/begun-f\($0)") }
            }
            while begun() < 3 { await Task.yield() }
            worker.signal(SIGTERM)
            let result = try await worker.end()
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.errors.contains("3 given back"))
            let states = try await alice.show(number).files("state")
            #expect(states.values.allSatisfy { $0 == "initial" })
        }

        @Test("a worker that waits for files goes at once when it is told to, and holds none")
        func stoppingIdle() async throws {
            let alice = try await DispatcherStage.shared.value.person("alice")
            let number = try await alice.project(["nons:none"])
            let worker = try Self.start(alice, number, ["--worker", "idle"], shell: "true")
            // It is known to be there once it holds what it can get.
            _ = try await alice.ddisp("worker", "next", "-t", "1", number, status: 1)
            worker.signal(SIGTERM)
            let result = try await worker.end(within: .seconds(30))
            #expect([0, 128 + SIGTERM].contains(result.status), "\(result.errors)")
            #expect(try await alice.ddisp("worker", "list", "-w", "idle", number).output == "")
        }

        @Test("what runs longer than the worker time-out stays with a worker that lives")
        func heartbeat() async throws {
            let stage = try await DispatcherStage.start(arguments: ["--janitor"])
            let alice = try await stage.person("alice")
            let number = try await alice.project(["w:f1"], "-A", "virtual=true", "-w", "2")
            let worker = try Self.start(
                alice, number, [], shell: "touch begun; until [ -e go ]; do sleep 0.1; done")
            while !FileManager.default.fileExists(atPath: alice.home + "/begun") { await Task.yield() }
            // Twice as long as the time-out nobody else gets it.
            #expect(try await alice.ddisp("worker", "next", "-t", "4", number, status: 1).output == "timeout\n")
            try alice.write("", to: "go")
            #expect(try await worker.end().status == 0)
            let project = try await alice.show(number)
            #expect(project["state"] == "done" && project.files("attempts") == ["f1": 1])
            try await stage.end()
        }

        @Test("what can not work is told, and no file is kept")
        func trouble() async throws {
            let stage = try await DispatcherStage.shared.value
            let (alice, dave) = (try await stage.person("alice"), try await stage.person("dave"))
            let number = try await alice.project(["test:file_01.dat"])
            let missing = try await alice.tokenpool("work", "--project", number, "--", "no-such-program", status: 1)
            #expect(missing.errors.contains("starting no-such-program: No such file or directory"))
            let hole = try await alice.tokenpool("work", "--project", number, "--", "echo", "{nothing}", status: 1)
            #expect(hole.errors.contains("there is no value {nothing}"))
            #expect(try await alice.show(number).files("state") == ["file_01.dat": "initial"])
            _ = try await dave.tokenpool("work", "--project", number, "--", "true", status: 4)
            let none = try await alice.tokenpool("work", "--project", "999999", "--", "true", status: 1)
            #expect(none.errors == "tokenpool: project 999999 not found\n")
            _ = try await alice.tokenpool("work", "--project", number, status: 2)
            _ = try await alice.tokenpool("work", "--project", number, "--set", "x", "--", "true", status: 2)
            _ = try await alice.tokenpool("work", "--site", "x", status: 2)
            let failing = try await alice.tokenpool(
                "work", "--project", number, "--max-attempts", "5", "--", "false")
            #expect(failing.errors.contains("test:file_01.dat: failed, exit code 1"))
            #expect(try await alice.show(number)["state"] == "failed")
        }
    }
}
