import CouchDB
import TestSupport

/// Runs with a new database on the tests' server, which goes afterwards. Its name has what must be encoded in a path.
func withFreshDatabase(_ body: (Database) async throws -> Void) async throws {
    let server = try Server(url: try await TestServer.shared().url)
    let database = try await server.createDatabase("couchdb-tests/\(UInt64.random(in: 0 ... .max))+x")
    do {
        try await body(database)
    } catch {
        try? await server.deleteDatabase(database.name)
        throw error
    }
    try await server.deleteDatabase(database.name)
}
