import CouchDocument
import TestSupport
import Testing

@testable import CouchDB

@Suite("Signing in", .timeLimit(.minutes(1)))
struct SignInTests {
    /// Answers everything and notes the heads.
    private func peer(_ seen: Notes<PeerRequest>) -> ScriptedPeer {
        ScriptedPeer { connection in
            while let request = connection.request() {
                seen.add(request)
                connection.answer(200, #"{"version":"3"}"#)
            }
        }
    }

    @Test("name and password of the URL are sent with the first request, decoded — Authorization: Basic")
    func basic() async throws {
        let seen = Notes<PeerRequest>()
        let peer = peer(seen)
        let url = "http://j%C3%BCrgen:p%40ss%3Aword@" + peer.url.dropFirst("http://".count)
        let configuration = try ServerConfiguration(url: url)
        #expect(configuration.url == peer.url)
        _ = try await Server(configuration).info()
        #expect(seen.all.first?.header("Authorization") == "Basic asO8cmdlbjpwQHNzOndvcmQ=")
    }

    @Test("a token is sent as it is — Authorization: Bearer")
    func bearer() async throws {
        let seen = Notes<PeerRequest>()
        let peer = peer(seen)
        var configuration = try ServerConfiguration(url: peer.url)
        configuration.credentials = .bearer(token: "abc.def")
        _ = try await Server(configuration).info()
        #expect(seen.all.first?.header("Authorization") == "Bearer abc.def")
    }

    @Test("a session is opened once for all who ask, and opened again when the server forgot it — POST /_session")
    func cookie() async throws {
        let lines = Notes<String>()
        let peer = ScriptedPeer { connection in
            while let request = connection.request() {
                lines.add(request.line + " " + (request.header("Cookie") ?? "-"))
                let sessions = lines.all.count { $0.hasPrefix("POST") }
                if request.line.hasPrefix("POST /_session") {
                    let fields = ["Set-Cookie: AuthSession=s\(sessions); Version=1; Max-Age=600; Path=/; HttpOnly"]
                    connection.answer(200, #"{"ok":true}"#, headers: fields)
                } else if request.line.contains("/forgotten"), sessions == 1 {
                    connection.answer(401, #"{"error":"unauthorized","reason":"You are not authorized."}"#)
                } else {
                    connection.answer(200, #"{"_id":"x"}"#)
                }
            }
        }
        var configuration = try ServerConfiguration(url: peer.url)
        configuration.credentials = .cookie(user: "u", password: "p")
        let database = try Server(configuration).database("db")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 { group.addTask { _ = try await database.document("a") } }
            try await group.waitForAll()
        }
        #expect(lines.all.count { $0.hasPrefix("POST") } == 1)
        #expect(lines.all.count { $0 == "GET /db/a HTTP/1.1 AuthSession=s1" } == 8)
        _ = try await database.document("forgotten")
        #expect(
            lines.all.suffix(3).map { $0 } == [
                "GET /db/forgotten HTTP/1.1 AuthSession=s1", "POST /_session HTTP/1.1 -",
                "GET /db/forgotten HTTP/1.1 AuthSession=s2",
            ])
    }

    @Test("a sign-in that is cut is tried again, even for a write that could not be — POST /_session")
    func cutSignIn() async throws {
        let lines = Notes<String>()
        let peer = ScriptedPeer { connection in
            while let request = connection.request() {
                lines.add(request.line)
                if lines.all.count == 1 { return connection.reset() }
                let fields = ["Set-Cookie: AuthSession=s; Max-Age=600"]
                connection.answer(201, #"{"ok":true,"id":"a","rev":"1-a"}"#, headers: fields)
            }
        }
        var configuration = try ServerConfiguration(url: peer.url)
        configuration.credentials = .cookie(user: "u", password: "p")
        configuration.retry.pause = .milliseconds(1)
        #expect(try await Server(configuration).database("db").save(Document(id: "a")) == Revision("1-a"))
        #expect(lines.all == ["POST /_session HTTP/1.1", "POST /_session HTTP/1.1", "PUT /db/a HTTP/1.1"])
    }

    @Test("a wrong password for a session is an error at once — POST /_session")
    func wrongPassword() async throws {
        let lines = Notes<String>()
        let peer = ScriptedPeer { connection in
            while let request = connection.request() {
                lines.add(request.line)
                connection.answer(401, #"{"error":"unauthorized","reason":"Name or password is incorrect."}"#)
            }
        }
        var configuration = try ServerConfiguration(url: peer.url)
        configuration.credentials = .cookie(user: "u", password: "hidden")
        let server = try Server(configuration)
        let error = try #require(await #expect(throws: CouchDBError.self) { try await server.info() })
        #expect(error.code == .unauthorized && error.attempted == "POST /_session")
        #expect(lines.all.count == 1)
    }

    @Test("a .netrc gives name and password by machine, else those of default")
    func netrc() {
        let text = """
            # comment
            machine a.example login x password "p \\" q"
            macdef init
            cd machine a.example

            machine B.example
              login y account z
              password 'w
            default login d password e
            """
        let netrc = Netrc(text)
        #expect(netrc.entry(for: "A.example") == .init(login: "x", password: "p \" q"))
        #expect(netrc.entry(for: "b.example") == .init(login: "y", password: "'w"))
        #expect(netrc.entry(for: "c.example") == .init(login: "d", password: "e"))
        #expect(Netrc("machine a login b").entry(for: "c") == nil)
    }

    @Test("a .netrc that is not there is one clear line")
    func noNetrc() throws {
        var configuration = try ServerConfiguration(url: "http://localhost:1")
        configuration.credentials = .netrc(path: "/nonexistent/netrc")
        let sent = configuration
        let error = try #require(#expect(throws: CouchDBError.self) { try Server(sent) })
        #expect(error.description.contains("/nonexistent/netrc"))
    }

    @Test("no description shows a secret")
    func redaction() throws {
        var configuration = try ServerConfiguration(url: "http://user:s3cret@localhost:5984")
        configuration.tls.keyPassword = "s3cret"
        #expect(!"\(configuration)".contains("s3cret"))
        #expect(!String(reflecting: configuration).contains("s3cret"))
        var dumped = ""
        dump(configuration, to: &dumped)
        #expect(!dumped.contains("s3cret"))
        let error = try #require(
            #expect(throws: CouchDBError.self) { try ServerConfiguration(url: "ftp://user:s3cret@localhost/x y") })
        #expect(!error.description.contains("s3cret") && error.description.contains("localhost"))
    }

    @Test("a header field can not be smuggled in by a line end")
    func injection() async throws {
        let peer = peer(Notes())
        let server = try Server(url: peer.url)
        await #expect { try await server.request("GET", "/", headers: [("X-A", "b\r\nX-C: d")]) } throws: {
            CouchDBError.badRequest ~= $0
        }
    }
}
