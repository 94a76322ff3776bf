import CouchDocument
import Foundation
import TestSupport
import Testing

extension Interop {
    @Suite("Workers of a project", .serialized, .timeLimit(.minutes(10)))
    struct DispatcherLoopTests {
        /// 200 files, of which a tenth fails when first tried and a twentieth for good; a file whose worker died comes back
        /// after some seconds.
        private static func project(_ alice: DispatcherStage.Person, timeout: String) async throws -> String {
            try await alice.project(
                (1...200).map { number in "loop:file_" + String(format: "%03d", number) }, "-A", "virtual=true", "-w",
                timeout)
        }

        private static func check(_ project: JSON) throws {
            #expect(project["state"] == "failed")
            let states = project.files("state")
            #expect(states.count == 200)
            for (name, state) in states {
                let number = try #require(Int(name.suffix(3)))
                #expect(state == (number % 20 == 7 ? "failed" : "done"), "\(name)")
            }
            for (name, attempts) in project.files("attempts") {
                let number = try #require(Int(name.suffix(3)))
                let attempts = try #require(attempts.intValue)
                // A file that failed once was tried again; a worker that died took one try more from two files.
                #expect((number % 10 == 3 ? 2...3 : 1...2).contains(attempts), "\(name): \(attempts)")
            }
            #expect(project.files("attempts").values.reduce(0) { $0 + ($1.intValue ?? 0) } >= 220)
        }

        @Test("the documented shell loop with our ddisp: 5 workers, 2 of them killed, end 200 files as they should")
        func shell() async throws {
            let stage = try await DispatcherStage.start(arguments: ["--janitor"])
            let alice = try await stage.person("alice")
            let number = try await Self.project(alice, timeout: "12s")
            let workers = try (1...5).map { worker in
                let home = alice.home + "/worker\(worker)"
                try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: false)
                return try Program.start(
                    "/bin/bash", [DispatcherStage.data + "/worker.sh", number, "SITE1"] + (worker < 3 ? ["10"] : []),
                    environment: alice.environment, folder: home)
            }
            for (index, worker) in workers.enumerated() {
                let result = try await worker.end(within: .seconds(240))
                #expect(result.status == (index < 2 ? 128 + SIGKILL : 0), "\(result.errors)")
            }
            try Self.check(try await alice.show(number))
            try await stage.end()
        }

        @Test(
            "the documented Python loop with the original package: the same",
            .enabled("pip can reach the package registry") { await PythonClients.isAvailable() })
        func python() async throws {
            let stage = try await DispatcherStage.start(arguments: ["--janitor"])
            let alice = try await stage.person("alice")
            let number = try await Self.project(alice, timeout: "5s")
            let python = try await PythonClients.dispatcher()
            let workers = try (1...5).map { worker in
                try Program.start(
                    python,
                    [Places.package + "/Tests/InteropTests/Python/ddisp_worker.py", number, "w\(worker)"]
                        + (worker < 3 ? ["10"] : []), environment: alice.environment, folder: alice.home)
            }
            for (index, worker) in workers.enumerated() {
                let result = try await worker.end(within: .seconds(240))
                #expect(result.status == (index < 2 ? 128 + SIGKILL : 0), "\(result.errors)")
            }
            try Self.check(try await alice.show(number))
            try await stage.end()
        }
    }
}
