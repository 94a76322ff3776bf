public import CouchDocument

/// A database on a server: a cheap handle, to be copied freely. It need not exist yet.
public struct Database: Sendable {
    /// The server it is on.
    public let server: Server
    /// Its name, as it is (not percent-encoded).
    public let name: String

    /// The path of the database, percent-encoded.
    var path: String { "/" + name.percentEncodedSegment }

    /// The path of something below the database; encoded already.
    func path(_ rest: String) -> String { path + "/" + rest }

    /// The path of a document.
    func path(of id: String) -> String { path + "/" + id.percentEncodedDocumentPath }
}

/// What `GET /db` says.
public struct DatabaseInfo: Sendable, Hashable {
    /// The name.
    public let name: String
    /// The number of documents that are not deleted, design documents included.
    public let documentCount: Int
    /// The number of tombstones.
    public let deletedCount: Int
    /// The sequence of the last change; opaque.
    public let updateSequence: String
    /// Bytes on disk.
    public let fileSize: Int?
    /// Bytes of the documents uncompressed.
    public let externalSize: Int?
    /// Bytes of what is not garbage.
    public let activeSize: Int?
    /// All that it said.
    public let raw: JSONObject
}

extension Database {
    /// `GET /db`.
    ///
    /// - Throws: ``CouchDBError/notFound`` when it does not exist.
    public func info() async throws -> DatabaseInfo {
        let response = try await server.perform(Call("GET", path))
        let raw = try response.object()
        guard let count = raw["doc_count"]?.intValue, let deleted = raw["doc_del_count"]?.intValue,
            let sequence = raw["update_seq"]
        else { throw response.badAnswer("doc_count, doc_del_count or update_seq is missing") }
        return DatabaseInfo(
            name: raw["db_name"]?.stringValue ?? name, documentCount: count, deletedCount: deleted,
            updateSequence: sequence.stringValue ?? sequence.description, fileSize: raw["sizes"]?["file"]?.intValue,
            externalSize: raw["sizes"]?["external"]?.intValue, activeSize: raw["sizes"]?["active"]?.intValue, raw: raw)
    }

    /// Whether it exists: `HEAD /db`.
    public func exists() async throws -> Bool {
        do {
            _ = try await server.perform(Call("HEAD", path))
            return true
        } catch CouchDBError.notFound {
            return false
        }
    }

    /// Who may do what: `GET /db/_security`.
    public func security() async throws -> Security {
        Security(try await server.perform(Call("GET", path("_security"))).object())
    }

    /// Says who may do what: `PUT /db/_security`.
    public func setSecurity(_ security: Security) async throws {
        _ = try await server.perform(Call("PUT", path("_security"), body: .json(.object(security.fields))))
    }

    /// Starts to free the room of old revisions: `POST /db/_compact`. It goes on after the answer.
    public func compact() async throws {
        _ = try await server.perform(Call("POST", path("_compact"), body: .json([:])))
    }

    /// Starts to remove the indexes of views that are gone: `POST /db/_view_cleanup`.
    public func cleanUpViews() async throws {
        _ = try await server.perform(Call("POST", path("_view_cleanup"), body: .json([:])))
    }

    /// How many revisions of a document are remembered: `GET /db/_revs_limit`.
    public func revisionsLimit() async throws -> Int {
        let response = try await server.perform(Call("GET", path("_revs_limit")))
        guard let limit = try response.json().intValue else { throw response.badAnswer("a number was expected") }
        return limit
    }

    /// Sets how many revisions of a document are remembered: `PUT /db/_revs_limit`.
    public func setRevisionsLimit(_ limit: Int) async throws {
        _ = try await server.perform(Call("PUT", path("_revs_limit"), body: .json(.integer(limit))))
    }

    /// Forgets leaf revisions without a trace: `POST /db/_purge`. Answers what was purged, by id.
    @discardableResult
    public func purge(_ revisions: [String: [Revision]]) async throws -> [String: [Revision]] {
        let body = JSONObject(revisions.map { ($0.key, .array($0.value.map { .string($0.description) })) })
        let response = try await server.perform(Call("POST", path("_purge"), body: .json(.object(body))))
        var purged: [String: [Revision]] = [:]
        for (id, list) in try response.object()["purged"]?.objectValue ?? [:] {
            purged[id] = list.arrayValue?.compactMap { $0.stringValue.flatMap { Revision($0) } } ?? []
        }
        return purged
    }
}
