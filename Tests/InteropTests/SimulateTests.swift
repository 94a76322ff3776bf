import CouchDocument
import Foundation
import Testing

extension Interop {
    @Suite("tokenpool bench simulate")
    struct SimulateTests {
        @Test("computes without a server, the same for the same seed, and draws curves with axes, units and names")
        func curves() async throws {
            let folder = FileManager.default.temporaryDirectory.path + "/simulate-\(UUID().uuidString)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            func simulate() async throws -> Program.Result {
                try await Program.run(
                    try Program.built("tokenpool"),
                    [
                        "bench", "simulate", "--pilots", "2,20", "--tokens", "5000", "--run", "0.5", "--seconds", "2",
                        "--svg", folder + "/curves", "--json",
                    ], environment: ["HOME": folder], folder: folder)
            }
            let result = try await simulate()
            #expect(result.status == 0, "\(result.errors)")
            #expect(try await simulate().output == result.output)
            let points = try #require(try JSON(parsing: result.output).arrayValue)
            #expect(points.count == 6)
            #expect(points.allSatisfy { ($0["claims"]?.intValue ?? 0) > 0 })
            for (name, axis) in [("claim-conflicts", "lost writes (% of all)"), ("claim-rate", "claims (1/s)")] {
                let svg = try String(contentsOfFile: "\(folder)/curves/\(name).svg", encoding: .utf8)
                for part in [axis, ">pilots<", ">ordered<", ">random<", ">sharded<", "prefers-color-scheme:dark"] {
                    #expect(svg.contains(part), "\(part)")
                }
                #expect(svg.hasPrefix("<svg ") && svg.hasSuffix("</svg>\n"))
                #expect(!svg.contains("nan") && !svg.contains("inf"))
            }
            let wrong = try await Program.run(
                try Program.built("tokenpool"), ["bench", "simulate", "--pilots", "ten"], environment: ["HOME": folder],
                folder: folder)
            #expect(wrong.status == 2 && wrong.errors.contains("--pilots"))
        }
    }
}
