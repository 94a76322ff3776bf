public import CouchDocument

/// What `GET /` says.
public struct ServerInfo: Sendable, Hashable {
    /// The version, such as `3.5.0`.
    public let version: String
    /// The name of who made it, such as `The Apache Software Foundation`.
    public let vendor: String?
    /// The server's own id.
    public let uuid: String?
    /// What it can do beyond the common.
    public let features: [String]
    /// All that it said.
    public let raw: JSONObject
}

/// Who the server takes us for.
public struct Session: Sendable, Hashable {
    /// The name; `nil` when not signed in.
    public let name: String?
    /// The roles; `_admin` for server administrators.
    public let roles: [String]
    /// All that it said.
    public let raw: JSONObject
}

extension Server {
    /// `GET /`.
    public func info() async throws -> ServerInfo {
        let response = try await perform(Call("GET", "/"))
        let raw = try response.object()
        guard let version = raw["version"]?.stringValue else {
            throw response.badAnswer("it names no version, so this is no CouchDB")
        }
        return ServerInfo(
            version: version, vendor: raw["vendor"]?["name"]?.stringValue, uuid: raw["uuid"]?.stringValue,
            features: raw["features"]?.arrayValue?.compactMap(\.stringValue) ?? [], raw: raw)
    }

    /// Whether the server answers and is ready: `GET /_up`.
    public func isUp() async throws -> Bool {
        do {
            _ = try await perform(Call("GET", "/_up"))
            return true
        } catch CouchDBError.notFound {
            return false
        }
    }

    /// New ids from the server, rising in order: `GET /_uuids`.
    public func uuids(_ count: Int = 1) async throws -> [String] {
        let response = try await perform(Call("GET", "/_uuids", query: [("count", String(count))]))
        let uuids = try response.object()["uuids"]?.arrayValue?.compactMap(\.stringValue) ?? []
        guard uuids.count == count else { throw response.badAnswer("\(uuids.count) ids for \(count)") }
        return uuids
    }

    /// The names of all databases, sorted: `GET /_all_dbs`. For server administrators.
    public func allDatabases() async throws -> [String] {
        let response = try await perform(Call("GET", "/_all_dbs"))
        return try response.array().map { name in
            guard let name = name.stringValue else { throw response.badAnswer("a name is no string") }
            return name
        }
    }

    /// Who we are to the server: `GET /_session`.
    public func session() async throws -> Session {
        let response = try await perform(Call("GET", "/_session"))
        let raw = try response.object()
        guard let context = raw["userCtx"]?.objectValue else { throw response.badAnswer("it has no userCtx") }
        return Session(
            name: context["name"]?.stringValue, roles: context["roles"]?.arrayValue?.compactMap(\.stringValue) ?? [],
            raw: raw)
    }

    /// What the server is busy with: `GET /_active_tasks`. For server administrators.
    public func activeTasks() async throws -> [JSON] { try await perform(Call("GET", "/_active_tasks")).array() }

    /// Makes a database: `PUT /db`.
    ///
    /// - Throws: ``CouchDBError/preconditionFailed`` when it exists.
    public func createDatabase(_ name: String) async throws -> Database {
        let database = database(name)
        _ = try await perform(Call("PUT", database.path))
        return database
    }

    /// Makes a database unless it is there already.
    public func createDatabaseIfMissing(_ name: String) async throws -> Database {
        do {
            return try await createDatabase(name)
        } catch CouchDBError.preconditionFailed {
            return database(name)
        }
    }

    /// Deletes a database with all its documents: `DELETE /db`.
    ///
    /// - Throws: ``CouchDBError/notFound`` when there is none.
    public func deleteDatabase(_ name: String) async throws {
        _ = try await perform(Call("DELETE", database(name).path))
    }
}
