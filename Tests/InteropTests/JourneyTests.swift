import CouchDocument
import Foundation
import TestSupport
import Testing
import TokenPool

extension Interop {
    @Suite("The command line, from a set's file to its results")
    struct JourneyTests {
        @Test("create, work, show, log, collect; a token that fails is tried again and ends in error")
        func journey() async throws {
            try await withPool { pool in
                let configuration = Places.package + "/Configs/quickstart.yaml"
                let created = try await pool.tokenpool("set", "create", configuration, "--json")
                #expect(try Self.lastJSON(created)["created"] == 8)
                // The same again is refused: there is such a set.
                try await pool.tokenpool("set", "create", configuration, status: 1)
                try await pool.tokenpool("set", "create", configuration, "--if-exists", "skip")

                try await pool.tokenpool("work", "--slots", "4", "--quiet", status: nil)

                let shown = try Self.lastJSON(try await pool.tokenpool("set", "show", "quickstart", "--json"))
                #expect(shown["counts"]?["done"] == 7, "\(shown)")
                #expect(shown["counts"]?["error"] == 1, "\(shown)")
                let broken = try await pool.pool.token("quickstart_5")
                #expect(broken.state == .error && broken.exitCode == 3 && broken.pool.attempts == 3)
                let log = try await pool.tokenpool("token", "log", "quickstart_5")
                #expect(log.output.hasPrefix("token quickstart_5: attempt 3 on "), "\(log.output)")
                let errors = try await pool.tokenpool("token", "log", "quickstart_5", "--err")
                #expect(errors.output == "nothing divides by zero, so token 5 can not work\n")

                try await pool.tokenpool("set", "collect", "quickstart", "results", "--match", "*.txt")
                for number in [1, 2, 3, 4, 6, 7, 8] {
                    let square = try String(
                        contentsOfFile: "\(pool.folder)/results/quickstart_\(number)/square.txt", encoding: .utf8)
                    #expect(square == "\(number * number)\n")
                }
                #expect(!FileManager.default.fileExists(atPath: "\(pool.folder)/results/quickstart_5/square.txt"))
                // Watching ends at once when nothing is left to do, and says that not all went well.
                try await pool.tokenpool("set", "watch", "quickstart", status: 1)
            }
        }

        @Test("a folder goes with its tokens as a sandbox, packed once, new in every work folder")
        func sandbox() async throws {
            try await withPool { pool in
                let tools = pool.folder + "/tools"
                try FileManager.default.createDirectory(atPath: tools, withIntermediateDirectories: true)
                try Data("#!/bin/sh\nexpr $1 + $(cat number)\necho 1000 > number\n".utf8).write(
                    to: URL(fileURLWithPath: tools + "/add"))
                try Data("100\n".utf8).write(to: URL(fileURLWithPath: tools + "/number"))
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: tools + "/add")
                let yaml =
                    "set: boxed\ntokens:\n  range: 1..6\nname: \"{n}\"\nsandbox: tools\ncommand: [./add, \"{n}\"]\n"
                try Data(yaml.utf8).write(to: URL(fileURLWithPath: pool.folder + "/boxed.yaml"))
                try await pool.tokenpool("set", "create", "boxed.yaml")
                let listed = try await pool.tokenpool("sandbox", "list", "--json")
                let boxes = try #require(try JSON(parsing: listed.output).arrayValue)
                #expect(boxes.count == 1)
                #expect(boxes.first?["name"] == "tools")
                // The same folder by hand is the same sandbox.
                let again = try Self.lastJSON(try await pool.tokenpool("sandbox", "upload", "tools", "--json"))
                #expect(again["uploaded"] == false)
                #expect(again["id"] == boxes.first?["id"])

                // Three processes that all need it at once.
                let pilots = try (0..<3).map { _ in
                    try pool.start("work", "--quiet")
                }
                for pilot in pilots { #expect(try await pilot.end().status == 0) }
                for number in 1...6 {
                    let log = try await pool.tokenpool("token", "log", "boxed_\(number)")
                    #expect(log.output == "\(100 + number)\n")
                }
                #expect(
                    try FileManager.default.contentsOfDirectory(atPath: pool.folder + "/cache/sandboxes").count == 1)
                #expect(try FileManager.default.contentsOfDirectory(atPath: pool.folder + "/cache/temporary").isEmpty)
            }
        }

        @Test("exit codes say what kind of no it is")
        func exitCodes() async throws {
            try await withPool { pool in
                try await pool.tokenpool("token", "show", "there is no such token", status: 1)
                try await pool.tokenpool("set", "show", "no such set", status: 1)
                try await pool.tokenpool("work", "--set", "no such set", status: 1)
                try await pool.tokenpool("set", "create", ".", status: 2)
                try await pool.tokenpool("set", "archive", "no such set", "file.tar", status: 2)
                try await pool.tokenpool("set", "show", "--no-such-flag", status: 2)
                try await pool.tokenpool("sandbox", "build", status: 2)
                try await pool.tokenpool("set", "list", "--url", "http://127.0.0.1:1", status: 3)
                var wrong = try #require(URLComponents(string: pool.server.url))
                wrong.password = "wrong"
                try await pool.tokenpool("set", "list", "--url", wrong.string ?? "", status: 4)
            }
        }

        @Test("a temporary folder may have any name")
        func temporaryFolder() async throws {
            try await withPool { pool in
                var environment = pool.environment
                let folder = pool.folder + "/a b%20c & é"
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                environment["TMPDIR"] = folder
                for arguments in [["token", "add", "x", "--input", "pwd"], ["work"]] {
                    let result = try await Program.run(
                        try Program.built("tokenpool"), arguments, environment: environment, folder: pool.folder)
                    #expect(result.status == 0, "\(result.errors)")
                }
                let log = try await pool.tokenpool("token", "log", "x")
                #expect(log.output.hasPrefix(folder + "/tokenpool-work-"), "\(log.output)")
                #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
            }
        }

        @Test("an error is one line on stderr that names what was attempted, and shows no password")
        func errors() async throws {
            try await withPool { pool in
                for arguments in [
                    ["token", "show", "nope\nx"], ["set", "show", "nope"], ["sandbox", "upload", "nowhere/"],
                ] {
                    let result = try await Program.run(
                        try Program.built("tokenpool"), arguments, environment: pool.environment, folder: pool.folder)
                    #expect(result.status == 1)
                    #expect(result.output == "")
                    #expect(result.errors.hasPrefix("tokenpool: "))
                    #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
                    #expect(result.errors.contains("nope") || result.errors.contains("nowhere"), "\(result.errors)")
                    #expect(!result.errors.contains("secret"))
                }
            }
        }

        private static func lastJSON(_ result: Program.Result) throws -> JSON {
            try JSON(parsing: try #require(result.lines.last, "\(result.errors)"))
        }
    }

    @Suite("PiCaS' published examples, run for real")
    struct ExampleTests {
        private func run(_ name: String, lines: String, more: String, in pool: JourneyPool) async throws {
            let quoted = JSON.string(lines).description
            let yaml = "set: \(name)\ntokens:\n  lines: \(quoted)\n\(more)"
            try Data(yaml.utf8).write(to: URL(fileURLWithPath: "\(pool.folder)/\(name).yaml"))
            try await pool.tokenpool("set", "create", "\(name).yaml")
            try await pool.tokenpool("work", "--slots", "4", "--quiet", timeLimit: .seconds(300))
            let unfinished = try await pool.tokens().values.filter { $0.state != .done }
            #expect(unfinished.map { "\($0.id): \($0.state) \($0.exitCode ?? .null) \($0.errors)" } == [])
        }

        @Test(
            "the quick example's lines run as they are",
            .enabled("the example is there") { Places.hasData("picas/quickExample.txt") })
        func quickExample() async throws {
            try await withPool { pool in
                try await run("quick", lines: "\(Places.data)/picas/quickExample.txt", more: "", in: pool)
                let tokens = try await pool.tokens()
                #expect(tokens.count == 3)
                var logs: [String] = []
                for id in tokens.keys.sorted() { logs.append(try await pool.tokenpool("token", "log", id).output) }
                #expect(logs == ["this is token A\n", "this is token B\n", "this is token C\n"])
            }
        }

        @Test(
            "the 24 lines of the fractals example make 24 pictures, which are collected",
            .enabled("the example is there") { Places.hasData("picas/fractals-parameters.txt") })
        func fractals() async throws {
            try await withPool { pool in
                let sandbox = JSON.string(Places.package + "/Configs/fractals/sandbox").description
                try await run(
                    "fractals", lines: "\(Places.data)/picas/fractals-parameters.txt",
                    more: """
                        name: "{number:02}"
                        sandbox: \(sandbox)
                        command: [./fractal, "{words}", -o, "fractal-{number:02}.ppm"]
                        outputs: ["*.ppm"]

                        """, in: pool)
                try await pool.tokenpool("set", "collect", "fractals", "pictures", "--match", "*.ppm")
                let folders = try FileManager.default.contentsOfDirectory(atPath: pool.folder + "/pictures")
                #expect(folders.count == 24)
                for folder in folders {
                    let pictures = try FileManager.default.contentsOfDirectory(
                        atPath: "\(pool.folder)/pictures/\(folder)")
                    let picture = try #require(pictures.first { $0.hasSuffix(".ppm") })
                    let bytes = try #require(
                        FileManager.default.contents(atPath: "\(pool.folder)/pictures/\(folder)/\(picture)"))
                    #expect(bytes.starts(with: Data("P".utf8)) && bytes.count > 100)
                }
            }
        }
    }
}
