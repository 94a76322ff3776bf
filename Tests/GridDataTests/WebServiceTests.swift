import CouchDB
import GridData
import TestSupport
import Testing

@Suite("Services of the grid over TLS", .enabled(if: TLSServer.isPossible, "python3 or openssl is not installed"))
struct WebServiceTests {
    @Test("are verified, and see the certificate of who asks")
    func certificates() async throws {
        let server = try TLSServer(asksForCertificate: true)
        var access = WebAccess(url: "https://localhost:\(server.port)")
        access.certificateFile = server.folder + "/client.pem"
        access.keyFile = server.folder + "/client.key"
        let stranger = try WebService(access, kind: "tape")
        let error = await #expect(throws: GridError.self) { try await stranger.request("GET", "/") }
        #expect(error?.code == .unavailable && error?.description.hasPrefix("tape at https://localhost:") == true)
        for authorities in [server.folder + "/server.pem", server.folder] {
            if authorities == server.folder { try TLSServer.run(["openssl", "rehash", server.folder]) }
            access.authorities = authorities
            let answer = try await WebService(access, kind: "tape").request("GET", "/")
            let text = String(decoding: answer.body, as: UTF8.self)
            #expect(text.contains("client"))
        }
        access.certificateFile = nil
        access.keyFile = nil
        let nobody = try WebService(access, kind: "tape")
        await #expect(throws: GridError.self) { try await nobody.request("GET", "/") }
    }
}
