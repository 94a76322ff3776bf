import CouchDB
import CouchDocument
import TestSupport
import Testing

@Suite("Server and databases", .timeLimit(.minutes(2)))
struct ServerTests {
    private func server() async throws -> Server { try Server(url: try await TestServer.shared().url) }

    @Test("says what it is — GET /, GET /_up, GET /_uuids")
    func info() async throws {
        let server = try await server()
        #expect(try await server.info().version.hasPrefix("3"))
        #expect(try await server.isUp())
        #expect(Set(try await server.uuids(3)).count == 3)
    }

    @Test("knows who we are — GET /_session")
    func session() async throws {
        #expect(try await server().session().roles.contains("_admin"))
    }

    @Test("signs in by cookie — POST /_session")
    func cookie() async throws {
        let url = try await TestServer.shared().url
        var configuration = try ServerConfiguration(url: url)
        let parts = url.split(separator: "//")[1].split(separator: "@")[0].split(separator: ":").map(String.init)
        configuration.credentials = .cookie(user: parts[0], password: parts[1])
        let session = try await Server(configuration).session()
        #expect(session.name == parts[0])
        #expect(session.raw["info"]?["authenticated"] == "cookie")
    }

    @Test("a wrong password is unauthorized — GET /_session")
    func wrongPassword() async throws {
        var configuration = try ServerConfiguration(url: try await TestServer.shared().url)
        configuration.credentials = .basic(user: "nobody-\(UInt64.random(in: 0 ... .max))", password: "wrong")
        let server = try Server(configuration)
        await #expect { try await server.session() } throws: { CouchDBError.unauthorized ~= $0 }
    }

    @Test("makes and deletes databases — PUT /db, DELETE /db, GET /_all_dbs")
    func databases() async throws {
        try await withFreshDatabase { database in
            let server = database.server
            #expect(try await database.exists())
            #expect(try await database.info().name == database.name)
            #expect(try await server.allDatabases().contains(database.name))
            await #expect { try await server.createDatabase(database.name) } throws: {
                CouchDBError.preconditionFailed ~= $0
            }
            _ = try await server.createDatabaseIfMissing(database.name)
            try await server.deleteDatabase(database.name)
            #expect(try await !database.exists())
            await #expect { try await server.deleteDatabase(database.name) } throws: { CouchDBError.notFound ~= $0 }
            _ = try await server.createDatabaseIfMissing(database.name)
            await #expect { try await server.createDatabase("Bad Name") } throws: { CouchDBError.badRequest ~= $0 }
        }
    }

    @Test("keeps who may do what — PUT and GET /db/_security")
    func security() async throws {
        try await withFreshDatabase { database in
            var security = try await database.security()
            security.members.names = ["änne"]
            security.admins.roles.append("boss")
            try await database.setSecurity(security)
            let read = try await database.security()
            #expect(read.members.names == ["änne"] && read.admins.roles.contains("boss"))
        }
    }

    @Test("makes users who can sign in — PUT /_users/org.couchdb.user:name")
    func users() async throws {
        let server = try await server()
        _ = try await server.createDatabaseIfMissing("_users")
        let name = "tëst/\(UInt32.random(in: 0 ... .max))"
        try await server.saveUser(name: name, password: "p@ss:wörd", roles: ["r"])
        var configuration = try ServerConfiguration(url: server.configuration.url)
        configuration.credentials = .basic(user: name, password: "p@ss:wörd")
        let session = try await Server(configuration).session()
        #expect(session.name == name && session.roles == ["r"])
        try await server.saveUser(name: name, password: nil, roles: ["s"])
        #expect(try await server.user(name)?["roles"] == ["s"])
        try await server.deleteUser(name)
        #expect(try await server.user(name) == nil)
    }

    @Test("the raw door sends what it is told and answers with everything — GET /db/_all_docs?limit=0")
    func raw() async throws {
        try await withFreshDatabase { database in
            let path = "/" + database.name.percentEncodedSegment + "/_all_docs"
            let response = try await database.server.request("GET", path, query: [("limit", "0")])
            #expect(response.status == 200 && response.headers["Content-Type"]?.hasPrefix("application/json") == true)
            #expect(try response.json()["rows"] == [])
        }
    }
}
