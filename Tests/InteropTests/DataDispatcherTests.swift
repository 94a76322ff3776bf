import Foundation
import TestSupport
import Testing

extension Interop {
    @Suite(
        "Data Dispatcher's own client", .serialized,
        .enabled("pip can reach the package registry") { await PythonClients.isAvailable() })
    struct DataDispatcherTests {
        @Test(
            "the unmodified ddisp does all that it can do against the original: every recorded scenario",
            arguments: [false, true])
        func scenarios(inFrontOfAnotherStore: Bool) async throws {
            guard TestServer.externalURL == nil else { return }
            let server = try await TestServer.start(arguments: inFrontOfAnotherStore ? ["--no-gateway"] : ["--janitor"])
            let front =
                inFrontOfAnotherStore
                ? try await TestServer.start(arguments: ["--store", server.url, "--janitor"]) : nil
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ddisp-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let data = Places.package + "/Tests/InteropTests/DataDispatcher"
            var environment = ["HOME": folder.path, "TMPDIR": folder.path, "TOKENPOOL_URL": server.url]
            for name in ["PATH", "LD_LIBRARY_PATH", "LANG"] {
                environment[name] = ProcessInfo.processInfo.environment[name]
            }
            let loaded = try await Program.run(
                try Program.built("tokenpool"), ["catalog", "load", data + "/fixture.json", "--json"],
                environment: environment, folder: folder.path)
            #expect(loaded.status == 0, "\(loaded.errors)")
            let port = URLComponents(string: (front ?? server).url)?.port ?? 0
            let base = "http://127.0.0.1:\(port)/_pool/dd"
            let python = try await PythonClients.dispatcher()
            let result = try await Program.run(
                python,
                [
                    Places.package + "/Tests/InteropTests/Python/ddisp_replay.py", "--url", base + "/data", "--auth",
                    base + "/auth", "--ddisp",
                    URL(fileURLWithPath: python).deletingLastPathComponent().path + "/ddisp", "--dir", data, "--data",
                    data,
                ], environment: environment, folder: folder.path, timeLimit: .seconds(300))
            #expect(result.status == 0, "\(result.output) \(result.errors)")
            #expect(result.lines.last?.hasSuffix(" passed, 0 failed") == true)
            try await front?.kill()
            try await server.kill()
        }
    }
}
