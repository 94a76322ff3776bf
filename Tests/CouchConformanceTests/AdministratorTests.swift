import CouchDocument
import Foundation
import TestSupport
import Testing

/// Server admins in the settings, and what checking passwords costs.
@Suite("Administrators and passwords")
struct AdministratorTests {
    @Test("more admins are made in the settings; their passwords are kept hashed, and survive a restart")
    func moreAdmins() async throws {
        let guarded = try await GuardedServer.start()
        let place = "/_node/_local/_config/admins/second"
        #expect(try await guarded.request("PUT", place, "\"pass word\"").status == 200)
        let kept = try JSON(parsing: try await guarded.request("GET", place).body).stringValue ?? ""
        #expect(kept.hasPrefix("-pbkdf2:sha256-"))
        #expect(!kept.contains("pass word"))
        #expect(try await guarded.request("PUT", "/made-by-second", user: "second:pass word").status == 201)
        #expect(try await guarded.request("GET", "/_all_dbs", user: "second:wrong").status == 401)
        // As CouchDB's own configuration has it, copied.
        let copy = "/_node/_local/_config/admins/third"
        #expect(try await guarded.request("PUT", copy, JSON.string(kept).description).status == 200)
        #expect(try await guarded.request("GET", "/_all_dbs", user: "third:pass word").status == 200)
        try await guarded.server.stop()
        try await guarded.server.restart()
        #expect(try await guarded.request("GET", "/_all_dbs", user: "second:pass word").status == 200)
        #expect(try await guarded.request("DELETE", place).status == 200)
        #expect(try await guarded.request("GET", "/_all_dbs", user: "second:pass word").status == 401)
    }

    @Test("a new password ends an admin's sessions")
    func sessions() async throws {
        let guarded = try await GuardedServer.start()
        let place = "/_node/_local/_config/admins/second"
        #expect(try await guarded.request("PUT", place, "\"one\"").status == 200)
        let signed = try await guarded.request("POST", "/_session", "{\"name\":\"second\",\"password\":\"one\"}")
        let cookie = signed["Set-Cookie"]?.split(separator: ";").first.map(String.init) ?? ""
        let connection = RawConnection(host: guarded.variables.host, port: guarded.port)
        let list = RawRequest(method: "GET", target: "/_all_dbs", headers: [("Cookie", cookie)])
        #expect(try await connection.send(list).status == 200)
        #expect(try await guarded.request("PUT", place, "\"two\"").status == 200)
        #expect(try await connection.send(list).status == 401)
    }

    @Test("the admin of the command line stays, and names that can not be are refused")
    func refused() async throws {
        let guarded = try await GuardedServer.start()
        for (name, status) in [("admin", 403), ("a:b", 400), ("_x", 400)] {
            let place = "/_node/_local/_config/admins/\(name)"
            #expect(try await guarded.request("PUT", place, "\"x\"").status == status, "\(name)")
        }
        #expect(try await guarded.request("PUT", "/_node/_local/_config/admins/e", "\"\"").status == 400)
        #expect(
            try await guarded.request("PUT", "/_node/_local/_config/tokenpoold/max_feeds", "\"many\"").status == 400)
        #expect(try await guarded.request("GET", "/_all_dbs").status == 200)
    }

    private func userServer() async throws -> GuardedServer {
        let guarded = try await GuardedServer.start()
        let user = "{\"name\":\"u\",\"password\":\"right\",\"type\":\"user\",\"roles\":[]}"
        #expect(try await guarded.request("PUT", "/_users/org.couchdb.user:u", user).status == 201)
        return guarded
    }

    @Test("of many guesses at once five are looked at, then the name is locked", .timeLimit(.minutes(2)))
    func guesses() async throws {
        let guarded = try await userServer()
        let statuses = try await statuses(of: (0..<40).map { "u:guess\($0)" }, guarded)
        #expect(statuses.filter { $0 == 401 }.count == 5)
        #expect(statuses.filter { $0 == 403 }.count == 35)
        #expect(try await guarded.request("GET", "/_session", user: "u:right").status == 403)
    }

    @Test("the right password from many clients at once is checked once, and locks nobody out", .timeLimit(.minutes(2)))
    func sameAtOnce() async throws {
        let guarded = try await userServer()
        let statuses = try await statuses(of: [String](repeating: "u:right", count: 40), guarded)
        #expect(statuses.allSatisfy { $0 == 200 })
    }

    private func statuses(of users: [String], _ guarded: GuardedServer) async throws -> [Int] {
        try await withThrowingTaskGroup(of: Int.self) { group in
            for user in users { group.addTask { try await guarded.request("GET", "/_session", user: user).status } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }

    @Test("everybody must sign in where the settings say so, and new databases are open where they say so")
    func settings() async throws {
        let guarded = try await GuardedServer.start(["couchdb/default_security": "everyone"])
        #expect(try await guarded.request("PUT", "/open").status == 201)
        let connection = RawConnection(host: guarded.variables.host, port: guarded.port)
        let read = RawRequest(method: "GET", target: "/open")
        #expect(try await connection.send(read).status == 200)
        try await guarded.set(["chttpd/require_valid_user": "true"])
        #expect(try await connection.send(read).status == 401)
        #expect(try await connection.send(RawRequest(method: "GET", target: "/_up")).status == 200)
        #expect(try await guarded.request("GET", "/open").status == 200)
    }
}
