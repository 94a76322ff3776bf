import CouchDocument
import Foundation
import TestSupport
import Testing

/// How `tokenpoold` starts, refuses and ends.
@Suite("The daemon")
struct DaemonTests {
    private func request(_ server: TestServer, _ method: String, _ path: String, headers: JSONObject = [:]) throws
        -> (RawConnection, RawRequest)
    {
        let variables = try Variables(url: server.url)
        let step = Step(["method": .string(method), "path": .string(path), "headers": .object(headers)])
        return (RawConnection(host: variables.host, port: variables.port), try step.request(variables))
    }

    @Test("ends a waiting feed and leaves with 0 when it is told to stop — SIGTERM")
    func drains() async throws {
        let server = try await TestServer.start()
        let (connection, feed) = try request(server, "GET", "/_users/_changes?feed=continuous&heartbeat=60000")
        let (heard, source) = AsyncStream<Void>.makeStream()
        async let answer = connection.send(feed) { source.finish() }
        for await _ in heard {}
        #expect(try await server.stop() == 0)
        let lines = try await answer.body.split(separator: UInt8(ascii: "\n"))
        #expect(try lines.last.map { try JSON(parsing: $0)["last_seq"] } != nil)
    }

    @Test("comes up again on its folder with what it had")
    func restarts() async throws {
        let server = try await TestServer.start()
        let (connection, put) = try request(server, "PUT", "/kept")
        #expect(try await connection.send(put).status == 201)
        #expect(try await server.stop() == 0)
        try await server.restart()
        let (again, get) = try request(server, "GET", "/kept")
        #expect(try await again.send(get).status == 200)
        #expect(try await server.stop() == 0)
    }

    @Test("refuses a folder that another one serves, in one line, with status 3")
    func lockedFolder() async throws {
        let server = try await TestServer.start()
        let (status, text) = try await server.runAnother(["--data", server.folder + "/data", "--port", "0"])
        #expect(status == 3)
        #expect(text.split(separator: "\n").count == 1)
        #expect(text.hasPrefix("tokenpoold: "))
    }

    @Test("refuses a busy port, in one line, with status 3")
    func busyPort() async throws {
        let server = try await TestServer.start()
        let port = try Variables(url: server.url).port
        let (status, text) = try await server.runAnother([
            "--data", server.folder + "/other", "--port", String(port), "--admin-password-file",
            server.folder + "/password",
        ])
        #expect(status == 3)
        #expect(text.split(separator: "\n").count == 1)
        #expect(text.contains("127.0.0.1:\(port) is in use"))
    }

    @Test("does not listen beyond loopback without a password of the admin's own")
    func loopbackOnly() async throws {
        let server = try await TestServer.start()
        let (status, text) = try await server.runAnother(["--data", server.folder + "/third", "--bind", "0.0.0.0"])
        #expect(status == 3)
        #expect(text.contains("--admin-password-file"))
    }

    @Test("locks a name out after five wrong passwords, right ones included")
    func lockOut() async throws {
        let server = try await TestServer.start()
        let wrong = "Basic " + Data("admin:wrong".utf8).base64EncodedString()
        let (connection, bad) = try request(server, "GET", "/", headers: ["Authorization": .string(wrong)])
        for _ in 0..<5 { #expect(try await connection.send(bad).status == 401) }
        let (_, good) = try request(server, "GET", "/")
        #expect(try await connection.send(good).status == 403)
    }

    @Test("tells a client that waits for it to go on — Expect: 100-continue")
    func expectContinue() async throws {
        let server = try await TestServer.shared()
        let variables = try Variables(url: server.url)
        let connection = RawConnection(host: variables.host, port: variables.port)
        _ = try await connection.send(try Step(["method": "PUT", "path": "/{{db}}"]).request(variables))
        let put = Step([
            "method": "PUT", "path": "/{{db}}/a/file", "headers": ["Expect": "100-continue"], "bodyText": "content",
        ])
        let answer = try await connection.send(try put.request(variables))
        #expect(answer.status == 201)
        _ = try await connection.send(try Step(["method": "DELETE", "path": "/{{db}}"]).request(variables))
    }
}
