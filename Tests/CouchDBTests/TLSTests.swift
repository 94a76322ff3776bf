import CouchDB
import Foundation
import TestSupport
import Testing

/// Against a TLS server of Python's with certificates made on the spot by openssl.
@Suite("TLS", .enabled(if: TLSServer.isPossible, "python3 or openssl is not installed"), .timeLimit(.minutes(1)))
struct TLSTests {
    private func configuration(_ server: TLSServer) throws -> ServerConfiguration {
        var configuration = try ServerConfiguration(url: "https://localhost:\(server.port)")
        configuration.retry = .never
        return configuration
    }

    @Test("does not trust a server that signed itself — GET /")
    func selfSigned() async throws {
        let server = try TLSServer()
        let client = try Server(configuration(server))
        let error = try #require(await #expect(throws: CouchDBError.self) { try await client.info() })
        #expect(error.code == .tls && error.attempted == "GET /")
    }

    @Test("trusts it when its certificate is the authority — GET /")
    func authorityFile() async throws {
        let server = try TLSServer()
        var configuration = try configuration(server)
        configuration.tls.authorityFile = server.folder + "/server.pem"
        #expect(try await Server(configuration).info().version == "3.5.0")
    }

    @Test("trusts what an authority folder with hashed names holds — GET /")
    func authorityFolder() async throws {
        let server = try TLSServer()
        try TLSServer.run(["openssl", "rehash", server.folder])
        var configuration = try configuration(server)
        configuration.tls.authorityFolder = server.folder
        #expect(try await Server(configuration).info().version == "3.5.0")
    }

    @Test("verification is off for the one host that was named, and for no other")
    func unverified() async throws {
        let server = try TLSServer()
        var configuration = try configuration(server)
        configuration.tls.unverifiedHost = "localhost"
        #expect(try await Server(configuration).info().version == "3.5.0")
        configuration.tls.unverifiedHost = "elsewhere"
        let client = try Server(configuration)
        await #expect { try await client.info() } throws: { CouchDBError.tls ~= $0 }
    }

    @Test("a certificate of another host is refused — GET /")
    func otherHost() async throws {
        let server = try TLSServer()
        var configuration = try ServerConfiguration(url: "https://127.0.0.1:\(server.port)")
        configuration.retry = .never
        configuration.tls.authorityFile = server.folder + "/server.pem"
        let client = try Server(configuration)
        await #expect { try await client.info() } throws: { CouchDBError.tls ~= $0 }
    }

    @Test("verification stays on after a lost connection: another certificate at the same address is refused — GET /")
    func reconnect() async throws {
        let first = try TLSServer()
        var configuration = try configuration(first)
        configuration.tls.authorityFile = first.folder + "/server.pem"
        let client = try Server(configuration)
        #expect(try await client.info().version == "3.5.0")
        first.stop()
        let second = try TLSServer(port: first.port)
        for _ in 0..<2 {
            await #expect { try await client.info() } throws: { CouchDBError.tls ~= $0 }
        }
        second.stop()
        let back = try TLSServer(port: first.port, certificateOf: first)
        #expect(try await client.info().version == "3.5.0")
        back.stop()
    }

    @Test("shows a client certificate, as two files or as one like an X.509 proxy — GET /")
    func clientCertificate() async throws {
        let server = try TLSServer(asksForCertificate: true)
        var configuration = try configuration(server)
        configuration.tls.authorityFile = server.folder + "/server.pem"
        let client = try Server(configuration)
        await #expect(throws: CouchDBError.self) { try await client.info() }
        configuration.tls.certificateFile = server.folder + "/client.pem"
        configuration.tls.keyFile = server.folder + "/client.key"
        #expect(try await Server(configuration).info().vendor == "client")
        let both = try ["client.pem", "client.key"].map {
            try String(contentsOfFile: server.folder + "/" + $0, encoding: .utf8)
        }
        let proxy = server.folder + "/proxy.pem"
        try both.joined().write(toFile: proxy, atomically: true, encoding: .utf8)
        configuration.tls = .proxyCertificate(proxy)
        configuration.tls.authorityFile = server.folder + "/server.pem"
        #expect(try await Server(configuration).info().vendor == "client")
    }

    @Test("a certificate file that is not there is one clear line")
    func missingFile() async throws {
        let server = try TLSServer()
        var configuration = try configuration(server)
        configuration.tls = .proxyCertificate("/nonexistent/x509up_u0")
        let client = try Server(configuration)
        let error = try #require(await #expect(throws: CouchDBError.self) { try await client.info() })
        #expect(error.code == .tls && error.description.contains("/nonexistent/x509up_u0"))
    }
}
