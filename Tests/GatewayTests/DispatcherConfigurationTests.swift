import CouchDocument
import Foundation
import TestSupport
import Testing

@Suite("The dispatcher's configuration file")
struct DispatcherConfigurationTests {
    @Test(
        "what is wrong in it is told in one line with file, line and key, and the server does not start",
        arguments: [
            ("sign_in:\n  token_lifetime: soon\n", ":2: sign_in.token_lifetime: a duration such as 90s"),
            ("\nsing_in: {}\n", ":2: sing_in: no such key; expected sign_in, replicas, tape"),
            ("sign_in: 3\n", ":1: sign_in: a mapping is expected, not the number 3"),
            ("sign_in:\n  limits:\n    requests: -1\n", ":3: sign_in.limits.requests: a whole number from 0"),
            ("sign_in: {}\nsign_in: {}\n", "appears twice"),
            ("sign_in: [\n", "this is no YAML"),
        ])
    func fault(text: String, expected: String) async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "dd-\(UUID().uuidString).yaml").path
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        defer { try? FileManager.default.removeItem(atPath: file) }
        let server = try await TestServer.refused(["--dispatcher-config", file])
        #expect(server.status == 2)
        #expect(server.text.hasPrefix("tokenpoold: \(file)") && server.text.contains(expected), "\(server.text)")
        #expect(server.text.split(separator: "\n").count == 1)
    }

    @Test("a file that is not there is told, and the server does not start")
    func missing() async throws {
        let server = try await TestServer.refused(["--dispatcher-config", "/nowhere/x.yaml"])
        #expect(server.status == 3 && server.text == "tokenpoold: there is no file /nowhere/x.yaml\n")
    }

    @Test("a token lives as long as it says")
    func lifetime() async throws {
        try await Dispatching.run(configuration: "sign_in:\n  token_lifetime: 2h\n") { dd in
            let claims = try Dispatching.claims(try await dd.token("alice"))
            let (start, end) = (claims["iat"]?.numberValue ?? 0, claims["exp"]?.numberValue ?? 0)
            #expect(end - start == 7200)
        }
    }
}
