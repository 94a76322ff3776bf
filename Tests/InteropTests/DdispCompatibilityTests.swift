import CouchDocument
import Foundation
import TestSupport
import Testing

@testable import TokenPoolCLI

extension Interop {
    @Suite(
        "Our ddisp beside Data Dispatcher's own", .serialized,
        .enabled("pip can reach the package registry") { await PythonClients.isAvailable() })
    struct DdispCompatibilityTests {
        @Test("our ddisp plays every recorded scenario, those of 2.0.3 too")
        func scenarios() async throws {
            guard TestServer.externalURL == nil else { return }
            let stage = try await DispatcherStage.start(arguments: ["--janitor"])
            let python = try await PythonClients.dispatcher()
            var environment = ["HOME": stage.folder, "TMPDIR": stage.folder]
            for name in ["PATH", "LD_LIBRARY_PATH", "LANG"] {
                environment[name] = ProcessInfo.processInfo.environment[name]
            }
            // Steps that call Python want the original's package.
            let folder = URL(fileURLWithPath: python).deletingLastPathComponent().path
            environment["PATH"] = folder + ":" + (environment["PATH"] ?? "")
            let result = try await Program.run(
                python,
                [
                    Places.package + "/Tests/InteropTests/Python/ddisp_replay.py", "--url", stage.dataURL, "--auth",
                    stage.authenticationURL, "--ddisp", stage.link, "--version", "2.0.3", "--ours", "--dir",
                    DispatcherStage.data, "--data", DispatcherStage.data,
                ], environment: environment, folder: stage.folder, timeLimit: .seconds(300))
            #expect(result.status == 0, "\(result.output) \(result.errors)")
            #expect(result.lines.last?.hasSuffix(" passed, 0 failed") == true)
            try await stage.end()
        }

        @Test("what 1.27.0 can print, ours prints byte for byte")
        func bytes() async throws {
            let stage = try await DispatcherStage.shared.value
            let alice = try await stage.person("alice")
            let theirs = URL(fileURLWithPath: try await PythonClients.dispatcher()).deletingLastPathComponent().path
            let number = try await alice.project(
                ["test:file_01.dat k=1.5 ü=ß", "test:file_02.dat", "nons:none"], "-A", "step=final n=1e20 m=0.00001",
                "-u", "bob")
            try alice.write("worker", to: ".data_dispatcher_worker_id")
            for words in [
                ["project", "show", "-j", number], ["project", "show", "-a", number],
                ["project", "show", "-a", "-j", number], ["project", "show", "-f", "all", number],
                ["project", "show", "-f", "active", number], ["project", "list"], ["project", "list", "-j"],
                ["project", "list", "-s", "active", "-a", "step=final"], ["rse", "list", "-j"],
                ["rse", "show", "DISK_A"], ["rse", "show", "-j", "TAPE_T"], ["rse", "show", "NO"],
                ["project", "show", "999999"], ["worker", "id"], ["project", "cancel", "-j", number],
                ["project", "activate", number], ["project", "restart", "-a", number],
            ] {
                let ours = try await Program.run(
                    stage.link, words, environment: alice.environment, folder: alice.home)
                let original = try await Program.run(
                    theirs + "/ddisp", words, environment: alice.environment, folder: alice.home)
                #expect(ours.output == original.output, "\(words): \(ours.errors)\(original.errors)")
                #expect(ours.status == original.status, "\(words)")
            }
        }

        @Test("a token that ours keeps is theirs, and theirs is ours")
        func library() async throws {
            let stage = try await DispatcherStage.shared.value
            let theirs = URL(fileURLWithPath: try await PythonClients.dispatcher()).deletingLastPathComponent().path
            let alice = try await stage.person("alice")
            let list = try await Program.run(
                theirs + "/ddisp", ["project", "list"], environment: alice.environment, folder: alice.home)
            #expect(list.status == 0, "\(list.errors)")
            let token = try alice.read(".token_library").split(separator: " ")[1]
            let bob = try await stage.person("nobody")
            let login = try await Program.run(
                theirs + "/ddisp", ["login", "-m", "token", "-t", String(token.dropLast()), "alice"],
                environment: bob.environment, folder: bob.home)
            #expect(login.status == 0, "\(login.errors)")
            _ = try await bob.ddisp("project", "list")
        }

        @Test("values are written as Python's pprint, json and str write them")
        func values() async throws {
            var random = SeededRandom(seed: 7)
            let lines = (0..<400).map { _ in Self.value(&random, depth: 0) }
            let input = lines.map { String(decoding: $0.encoded(), as: UTF8.self) + "\n" }.joined()
            let python = try await PythonClients.dispatcher()
            let result = try await Program.run(
                python, [Places.package + "/Tests/InteropTests/Python/pprint_lines.py"],
                environment: ["PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1"],
                folder: NSTemporaryDirectory(), input: input)
            let ours = lines.map { value in
                PrettyPrint.text(of: value) + "\n" + PythonText.json(value) + "\n" + PythonText.plain(value) + "\n"
            }.joined()
            let (left, right) = (ours.split(separator: "\n"), result.output.split(separator: "\n"))
            #expect(left.count == right.count)
            for (one, other) in zip(left, right) where one != other {
                Issue.record("ours \(one), Python's \(other)")
                break
            }
        }

        private static func value(_ random: inout SeededRandom, depth: Int) -> JSON {
            switch Int.random(in: 0..<(depth < 4 ? 10 : 7), using: &random) {
            case 0: return .null
            case 1: return .bool(Bool.random(using: &random))
            case 2: return .integer(Int.random(in: -1000...1_000_000_000, using: &random))
            case 3:
                let magnitude = Double.random(in: -12...20, using: &random)
                return JSON.double(Double.random(in: -9...9, using: &random) * exp(magnitude * log(10))) ?? 0
            case 4, 5, 6: return .string(text(&random))
            case 7:
                return .array((0..<Int.random(in: 0..<6, using: &random)).map { _ in value(&random, depth: depth + 1) })
            default:
                return .object(
                    JSONObject(
                        (0..<Int.random(in: 0..<6, using: &random)).map { number in
                            (text(&random) + "\(number)", value(&random, depth: depth + 1))
                        }))
            }
        }

        private static func text(_ random: inout SeededRandom) -> String {
            let pieces = [
                "a", "word", "two words ", "it's", "\"q\"", "ü", "\n", "\t", "\\", "é", "\u{7F}", "\u{200B}", "🙂", "  ",
            ]
            return (0..<Int.random(in: 0..<24, using: &random)).map { _ in
                pieces[Int.random(in: 0..<pieces.count, using: &random)]
            }.joined()
        }
    }
}
