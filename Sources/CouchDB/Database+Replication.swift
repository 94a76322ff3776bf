public import CouchDocument

/// Which revisions of a document a database does not have.
public struct MissingRevisions: Sendable, Hashable {
    /// The document's id.
    public let id: String
    /// Those of the revisions asked for that it does not have.
    public let revisions: [Revision]
    /// Leaves that it has and that may be their ancestors.
    public let possibleAncestors: [Revision]
}

extension Database {
    /// What is known of the database: `GET /db`.
    ///
    /// - Throws: ``CouchDBError/notFound`` when it does not exist.
    public func information() async throws -> JSONObject {
        try await server.perform(Call("GET", path)).object()
    }

    /// Which of these revisions are not here: `POST /db/_revs_diff`. Documents with none missing are left out.
    public func missingRevisions(_ revisions: [(id: String, revisions: [Revision])]) async throws -> [MissingRevisions]
    {
        if revisions.isEmpty { return [] }
        let asked = JSONObject(
            revisions.map { ($0.id, .array($0.revisions.map { .string($0.description) })) })
        let response = try await server.perform(
            Call("POST", path("_revs_diff"), body: .json(.object(asked)), repeatability: .safe))
        func list(_ value: JSON?) -> [Revision] {
            value?.arrayValue?.compactMap { $0.stringValue.flatMap { Revision($0) } } ?? []
        }
        return try response.object().map { id, value in
            guard value["missing"]?.arrayValue != nil else { throw response.badAnswer("\"\(id)\" has no missing") }
            return MissingRevisions(
                id: id, revisions: list(value["missing"]), possibleAncestors: list(value["possible_ancestors"]))
        }
    }

    /// Makes sure that everything written so far is on disk: `POST /db/_ensure_full_commit`. Servers since CouchDB 3 do
    /// so before each answer.
    public func ensureFullCommit() async throws {
        _ = try await server.perform(
            Call("POST", path("_ensure_full_commit"), headers: Call.jsonType, repeatability: .safe))
    }
}
