import CouchDocument
import Foundation
import TestSupport
import Testing

/// What pages of another origin may do, and the feeds and figures of the whole server.
@Suite("The server's neighbours")
struct CrossOriginTests {
    private func ask(_ server: TestServer, _ request: JSONObject) async throws -> RawAnswer {
        let variables = try Variables(url: server.url)
        return try await RawConnection(host: variables.host, port: variables.port)
            .send(try Step(request).request(variables))
    }

    private func preflight(_ server: TestServer, origin: String, method: String, headers: String = "Content-Type")
        async throws -> RawAnswer
    {
        try await ask(
            server,
            [
                "method": "OPTIONS", "path": "/", "auth": nil,
                "headers": [
                    "Origin": .string(origin), "Access-Control-Request-Method": .string(method),
                    "Access-Control-Request-Headers": .string(headers),
                ],
            ])
    }

    @Test("pages of the origins that are let in may ask and read, others may not — CORS")
    func origins() async throws {
        let server = try await TestServer.start()
        for (path, value) in [("chttpd/enable_cors", "true"), ("cors/origins", "https://a.example, http://b.example")] {
            let answer = try await ask(
                server, ["method": "PUT", "path": .string("/_node/_local/_config/" + path), "body": .string(value)])
            #expect(answer.status == 200)
        }
        let allowed = try await preflight(server, origin: "https://a.example", method: "PUT")
        #expect(allowed.status == 204)
        #expect(allowed["Access-Control-Allow-Origin"] == "https://a.example")
        #expect(allowed["Access-Control-Allow-Methods"]?.contains("PUT") == true)
        #expect(allowed["Access-Control-Max-Age"] == "600")
        #expect(allowed["Access-Control-Allow-Credentials"] == nil)
        #expect(try await preflight(server, origin: "https://c.example", method: "PUT").status == 405)
        #expect(try await preflight(server, origin: "https://a.example", method: "BREW").status == 405)
        #expect(try await preflight(server, origin: "https://a.example", method: "PUT", headers: "X-Own").status == 405)
        for (origin, shown) in [("http://b.example", "http://b.example"), ("http://c.example", nil)] {
            // A refusal is for the page to read, too.
            for path in ["/", "/nothing"] {
                let answer = try await ask(
                    server, ["method": "GET", "path": .string(path), "headers": ["Origin": .string(origin)]])
                #expect(answer["Access-Control-Allow-Origin"] == shown, "\(origin) \(path)")
                #expect((answer["Access-Control-Expose-Headers"] != nil) == (shown != nil))
            }
        }
        try await server.stop()
    }

    @Test("databases that are made, written to and deleted are told, and what a reader waits for comes — _db_updates")
    func databaseUpdates() async throws {
        let server = try await TestServer.start()
        #expect(try await ask(server, ["method": "GET", "path": "/_db_updates"]).status == 404)
        #expect(try await ask(server, ["method": "PUT", "path": "/_global_changes"]).status == 201)
        let since = try #require(
            try JSON(parsing: try await ask(server, ["method": "GET", "path": "/_db_updates"]).body)["last_seq"]?
                .stringValue)
        let longpoll = "/_db_updates?feed=longpoll&since=\(since)"
        async let next = ask(server, ["method": "GET", "path": .string(longpoll)])
        #expect(try await ask(server, ["method": "PUT", "path": "/one"]).status == 201)
        let rows = try JSON(parsing: try await next.body)["results"]
        #expect(rows?[0]?["db_name"] == "one")
        #expect(rows?[0]?["type"] == "created")
        #expect(try await ask(server, ["method": "PUT", "path": "/one/doc", "body": [:]]).status == 201)
        #expect(try await ask(server, ["method": "DELETE", "path": "/one"]).status == 200)
        let path = "/_db_updates?feed=continuous&limit=1&since=\(since)"
        let line = try await ask(server, ["method": "GET", "path": .string(path)]).body
            .split(separator: UInt8(ascii: "\n"))
        #expect(try line.first.map { try JSON(parsing: $0)["type"] } == "deleted")
        try await server.stop()
    }

    @Test(
        "feeds end when nothing comes for as long as the setting says — chttpd/changes_timeout",
        .timeLimit(.minutes(1)))
    func changesTimeout() async throws {
        let server = try await TestServer.start()
        for path in ["/db", "/_global_changes"] {
            #expect(try await ask(server, ["method": "PUT", "path": .string(path)]).status == 201)
        }
        let path = "/_node/_local/_config/chttpd/changes_timeout"
        #expect(try await ask(server, ["method": "PUT", "path": .string(path), "body": "0"]).status == 400)
        #expect(try await ask(server, ["method": "PUT", "path": .string(path), "body": "1"]).status == 200)
        for feed in ["continuous", "longpoll", "eventsource", "continuous&timeout=50000"] {
            let answer = try await ask(server, ["method": "GET", "path": .string("/db/_changes?feed=" + feed)])
            #expect(answer.status == 200)
        }
        for feed in ["continuous", "longpoll"] {
            let path = "/_db_updates?since=now&feed=" + feed
            #expect(try await ask(server, ["method": "GET", "path": .string(path)]).status == 200)
        }
        try await server.stop()
    }

    @Test("requests are counted where CouchDB's tools look — _stats, _prometheus, _system")
    func figures() async throws {
        let server = try await TestServer.start()
        for _ in 0..<5 { _ = try await ask(server, ["method": "GET", "path": "/missing"]) }
        let stats = try JSON(
            parsing: try await ask(server, ["method": "GET", "path": "/_node/_local/_stats/couchdb"]).body)
        // The server's own services ask, too.
        let requests = try #require(stats["httpd"]?["requests"]?["value"]?.intValue)
        let missing = try #require(stats["httpd_status_codes"]?["404"]?["value"]?.intValue)
        #expect(missing >= 5 && requests >= missing)
        #expect(stats["request_time"]?["value"]?["n"]?.intValue == requests)
        let text = String(
            decoding: try await ask(server, ["method": "GET", "path": "/_node/_local/_prometheus"]).body, as: UTF8.self)
        #expect(text.contains("couchdb_httpd_status_codes{code=\"404\"} \(missing)\n"))
        let system = try JSON(parsing: try await ask(server, ["method": "GET", "path": "/_node/_local/_system"]).body)
        #expect((system["memory"]?["resident"]?.intValue ?? 0) > 1 << 20)
        try await server.stop()
    }
}
