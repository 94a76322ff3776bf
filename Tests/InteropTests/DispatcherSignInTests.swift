import Foundation
import TestSupport
import Testing

extension Interop {
    @Suite(
        "Data Dispatcher's own client over TLS", .serialized,
        .enabled("pip can reach the package registry") { await PythonClients.isAvailable() })
    struct DispatcherSignInTests {
        @Test("the unmodified ddisp signs in by a password, a certificate, a proxy and a token, and works on with each")
        func ways() async throws {
            guard TestServer.externalURL == nil else { return }
            let certificates = try await TestCertificates.shared()
            let store = try await TestServer.start(arguments: ["--no-gateway"])
            let front = try await TestServer.start(
                arguments: [
                    "--store", store.url, "--tls-certificate", certificates.certificate("server"), "--tls-key",
                    certificates.key("server"), "--tls-client-ca", certificates.certificate("ca"),
                ])
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ddisp-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let catalogue = """
                {"users": [{"username": "alice", "password": "pw-alice", "x509": ["/DC=org/DC=example/CN=Alice Example"]}]}
                """
            try Data(catalogue.utf8).write(to: folder.appendingPathComponent("catalogue.json"))
            let base = "https://127.0.0.1:\(URLComponents(string: front.url)?.port ?? 0)/_pool/dd"
            var environment = [
                "HOME": folder.path, "TMPDIR": folder.path, "TOKENPOOL_URL": store.url,
                "DATA_DISPATCHER_URL": base + "/data", "DATA_DISPATCHER_AUTH_URL": base + "/auth",
                "REQUESTS_CA_BUNDLE": certificates.certificate("ca"),
            ]
            for name in ["PATH", "LD_LIBRARY_PATH", "LANG"] {
                environment[name] = ProcessInfo.processInfo.environment[name]
            }
            let loaded = try await Program.run(
                try Program.built("tokenpool"), ["catalog", "load", "catalogue.json"], environment: environment,
                folder: folder.path)
            #expect(loaded.status == 0, "\(loaded.errors)")
            let ddisp = URL(fileURLWithPath: try await PythonClients.dispatcher()).deletingLastPathComponent()
                .appendingPathComponent("ddisp").path
            let library = folder.appendingPathComponent(".token_library")
            func signIn(_ arguments: [String]) async throws -> Program.Result {
                try? FileManager.default.removeItem(at: library)
                return try await Program.run(
                    ddisp, ["login", "-m"] + arguments, environment: environment, folder: folder.path,
                    input: "pw-alice\n")
            }
            let proxy = try certificates.chain(["proxy", "alice"])
            for arguments in [
                ["password", "alice"],
                ["x509", "alice", certificates.certificate("alice"), certificates.key("alice")],
                ["x509", "alice", proxy, certificates.key("proxy")],
            ] {
                let result = try await signIn(arguments)
                #expect(
                    result.status == 0 && result.lines.first?.hasSuffix(" alice") == true,
                    "\(arguments): \(result.errors)")
                let list = try await Program.run(
                    ddisp, ["project", "list", "-j"], environment: environment, folder: folder.path)
                #expect(list.status == 0 && list.output.trimmingCharacters(in: .whitespacesAndNewlines) == "[]")
            }
            let words = try String(contentsOf: library, encoding: .utf8).split(whereSeparator: \.isWhitespace)
            try Data(try #require(words.last).utf8).write(to: folder.appendingPathComponent("token"))
            let again = try await signIn(["token", "-t", "token", "alice"])
            #expect(again.status == 0, "\(again.errors)")
            let foreign = try await signIn([
                "x509", "alice", certificates.certificate("foreign"), certificates.key("foreign"),
            ])
            #expect(foreign.status == 1 && foreign.errors.contains("no trusted authority"), "\(foreign.errors)")
            try await front.kill()
            try await store.kill()
        }
    }
}
