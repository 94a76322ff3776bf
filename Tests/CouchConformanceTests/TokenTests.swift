import CouchDocument
import Foundation
import TestSupport
import Testing

/// Sign-in by JSON web token, as CouchDB's JWT handler does it.
@Suite("Tokens")
struct TokenTests {
    /// In base64, the key that the tokens below are signed with.
    private static let key = "YSBrZXkgb2YgdGhlIHRlc3Rz"
    private static let good =
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsIl9jb3VjaGRiLnJvbGVzIjpbInRlYW0iXSwiZXhwIjo0MTAyNDQ0ODAwfQ.CMZz4teb75Vr2iWPUr2z3URjoVVl1L44W6eOL0XWT3k"
    private static let longer =
        "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsIl9jb3VjaGRiLnJvbGVzIjpbInRlYW0iXSwiZXhwIjo0MTAyNDQ0ODAwfQ.5XUmkf4EJth0WnoeIjDe5kHXzK0GCVDWvwJBzijKUu8KgnQqstvw7EevKpFARmviYzYIsgns6KB_XCj93_mBng"

    private func ask(_ server: TestServer, _ token: String, _ path: String = "/_session") async throws -> RawAnswer {
        let variables = try Variables(url: server.url)
        let step = Step([
            "method": "GET", "path": .string(path), "auth": nil,
            "headers": ["Authorization": .string("Bearer " + token)],
        ])
        return try await RawConnection(host: variables.host, port: variables.port).send(try step.request(variables))
    }

    private func set(_ server: TestServer, _ path: String, to value: String) async throws {
        let variables = try Variables(url: server.url)
        let step = Step(["method": "PUT", "path": .string("/_node/_local/_config/" + path), "body": .string(value)])
        let answer = try await RawConnection(host: variables.host, port: variables.port)
            .send(try step.request(variables))
        #expect(answer.status == 200)
    }

    @Test("a token signed with a key of the settings signs its subject in, with its roles — Authorization: Bearer")
    func signedIn() async throws {
        let server = try await TestServer.start()
        // Without a key there is no such sign-in, as in a stock CouchDB.
        #expect(try JSON(parsing: try await ask(server, Self.good).body)["userCtx"]?["name"] == .null)
        try await set(server, "jwt_keys/hmac:_default", to: Self.key)
        for token in [Self.good, Self.longer] {
            let session = try JSON(parsing: try await ask(server, token).body)
            #expect(session["userCtx"] == ["name": "alice", "roles": ["team"]])
            #expect(session["info"]?["authenticated"] == "jwt")
        }
        #expect(try await ask(server, Self.good, "/_all_dbs").status == 401)
        try await set(server, "jwt_auth/required_claims", to: "exp, {iss, \"me\"}")
        #expect(try await ask(server, Self.good).status == 400)
        try await server.stop()
    }

    @Test(
        "expired, forged, unsigned and broken tokens are refused",
        arguments: [
            // Expired.
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6MTAwMDAwMDAwMH0.Rz7th5gWvoGi_xdBKdR4ne9s2TVN3rA3qgpOJq9imr4",
            // Signed with another key, for an admin.
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsIl9jb3VjaGRiLnJvbGVzIjpbIl9hZG1pbiJdfQ.e1ULvf4lU_0Ov3Be4rHW8JQwkZ5vwf15nWgdcXixilU",
            // Not signed, for an admin.
            "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsIl9jb3VjaGRiLnJvbGVzIjpbIl9hZG1pbiJdfQ.",
            // Of nobody.
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjQxMDI0NDQ4MDB9.lDECgSw3L1y9MT3W1orLSj9bx0QyzHjDE_ymLZ7HEGc",
            "a.b", "a.b.c", "..", "%%.%%.%%",
        ])
    func refused(_ token: String) async throws {
        let server = try await Self.configured.value
        let answer = try await ask(server, token)
        #expect([400, 401].contains(answer.status))
        let answerToAdmin = try await ask(server, token, "/_all_dbs")
        #expect([400, 401].contains(answerToAdmin.status))
    }

    private static let configured = Task {
        let server = try await TestServer.start()
        try await TokenTests().set(server, "jwt_keys/hmac:_default", to: key)
        return server
    }
}
