public import CouchDocument

/// What is to be replicated, and how. The server does it; this client only asks.
public struct Replication: Sendable {
    /// A database: a name on the server that replicates, or a URL. A name and password in it go to that server.
    public var source: String
    /// Where to: as ``source``.
    public var target: String
    /// Whether to make the target if it is not there. Default: no.
    public var createTarget = false
    /// Whether to go on until cancelled. Default: no.
    public var isContinuous = false
    /// Only these documents. Default: all.
    public var documentIDs: [String]?
    /// Only what this Mango selector matches. Default: all.
    public var selector: JSONObject?
    /// Only what this filter function (`design/name`) lets through. Default: all.
    public var filter: String?
    /// Further members of the request.
    public var options: JSONObject = [:]

    /// A single pass from source to target.
    public init(from source: String, to target: String) {
        self.source = source
        self.target = target
    }

    /// The body of the request, or a document for `_replicator`.
    public var fields: JSONObject {
        var fields: JSONObject = ["source": .string(source), "target": .string(target)]
        if createTarget { fields["create_target"] = true }
        if isContinuous { fields["continuous"] = true }
        if let documentIDs { fields["doc_ids"] = .array(documentIDs.map(JSON.string)) }
        if let selector { fields["selector"] = .object(selector) }
        if let filter { fields["filter"] = .string(filter) }
        fields.merge(options)
        return fields
    }
}

extension Server {
    /// Replicates: `POST /_replicate`. A single pass answers when it is done, with its history; a continuous one at once,
    /// with its id.
    @discardableResult
    public func replicate(_ replication: Replication) async throws -> JSONObject {
        try await perform(
            Call("POST", "/_replicate", body: .json(.object(replication.fields)), patience: .indexing)
        ).object()
    }

    /// Stops a continuous replication that was started with the same values.
    ///
    /// - Throws: ``CouchDBError/notFound`` when there is none.
    public func cancel(_ replication: Replication) async throws {
        var fields = replication.fields
        fields["cancel"] = true
        _ = try await perform(Call("POST", "/_replicate", body: .json(.object(fields))))
    }
}
