import CouchDB
import Foundation

/// Runs a test with a database of its own on the shared server; it is deleted afterwards, whatever happens.
public func withDatabase<Result>(
    isolation: isolated (any Actor)? = #isolation, _ body: (Database) async throws -> Result
) async throws -> Result {
    let server = try await TestServer.shared()
    return try await withDatabase(on: server, body)
}

/// Runs a test with a database of its own on that server.
public func withDatabase<Result>(
    isolation: isolated (any Actor)? = #isolation, on server: TestServer, _ body: (Database) async throws -> Result
) async throws -> Result {
    let client = try server.client()
    let name = "test-" + UUID().uuidString.lowercased()
    let database = try await client.createDatabase(name)
    do {
        let result = try await body(database)
        try await client.deleteDatabase(name)
        await client.shutdown()
        return result
    } catch {
        // The test's own error is the one to tell.
        try? await client.deleteDatabase(name)
        await client.shutdown()
        throw error
    }
}
