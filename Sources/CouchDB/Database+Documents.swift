public import CouchDocument

/// What to add to a document that is read.
public struct DocumentOptions: OptionSet, Sendable {
    /// The bits.
    public let rawValue: Int
    /// From bits.
    public init(rawValue: Int) { self.rawValue = rawValue }

    /// `_revisions`: the history of this revision (`revs`).
    public static let revisions = DocumentOptions(rawValue: 1)
    /// `_revs_info`: the history, and what of it is still there.
    public static let revisionsInfo = DocumentOptions(rawValue: 2)
    /// `_conflicts`: the leaves that lost against this revision.
    public static let conflicts = DocumentOptions(rawValue: 4)
    /// `_deleted_conflicts`.
    public static let deletedConflicts = DocumentOptions(rawValue: 8)
    /// `_local_seq`: the sequence of its last change.
    public static let localSequence = DocumentOptions(rawValue: 16)
    /// Of a revision that has successors, the newest of them.
    public static let latest = DocumentOptions(rawValue: 32)
    /// The content of the attachments as base64, in place of stubs.
    public static let attachments = DocumentOptions(rawValue: 64)
    /// `encoding` and `encoded_length` in attachment stubs (`att_encoding_info`).
    public static let attachmentEncodings = DocumentOptions(rawValue: 128)

    var query: [(String, String)] {
        var query: [(String, String)] = []
        func add(_ option: DocumentOptions, _ name: String) {
            if contains(option) { query.append((name, "true")) }
        }
        add(.revisions, "revs")
        add(.revisionsInfo, "revs_info")
        add(.conflicts, "conflicts")
        add(.deletedConflicts, "deleted_conflicts")
        add(.localSequence, "local_seq")
        add(.latest, "latest")
        add(.attachments, "attachments")
        add(.attachmentEncodings, "att_encoding_info")
        return query
    }
}

/// A leaf, or a revision that is not there.
public enum OpenRevision: Sendable, Hashable {
    /// It is there.
    case found(Document)
    /// It is not known.
    case missing(Revision)
}

extension Database {
    /// A document: `GET /db/id`.
    ///
    /// - Parameter revision: Of that revision; `nil` is the winning one.
    /// - Throws: ``CouchDBError/notFound`` when it is not there or deleted.
    public func document(_ id: String, revision: Revision? = nil, options: DocumentOptions = []) async throws
        -> Document
    {
        var query = options.query
        if let revision { query.append(("rev", revision.description)) }
        let response = try await server.perform(Call("GET", try documentPath(id, "GET"), query: query))
        return Document(fields: try response.object())
    }

    /// A document, or `nil` when it is not there or deleted. A missing database is an error even so.
    public func documentIfPresent(_ id: String, revision: Revision? = nil, options: DocumentOptions = []) async throws
        -> Document?
    {
        do {
            return try await document(id, revision: revision, options: options)
        } catch let error as CouchDBError where error.code == .notFound && error.reason != Self.noDatabase {
            return nil
        }
    }

    static let noDatabase = "Database does not exist."

    /// The winning revision without the document: `HEAD /db/id`. `nil` when it is not there or deleted.
    public func revision(of id: String) async throws -> Revision? {
        do {
            let response = try await server.perform(Call("HEAD", try documentPath(id, "HEAD")))
            let tag = response.headers["etag"]?.trimming(UInt8(ascii: "\""))
            guard let tag, let revision = Revision(tag) else {
                throw response.badAnswer("it has no ETag that is a revision")
            }
            return revision
        } catch CouchDBError.notFound {
            return nil
        }
    }

    /// Leaves of a document, deleted ones included: `GET /db/id?open_revs=…`.
    ///
    /// - Parameter revisions: These; `nil` is all leaves.
    /// - Throws: ``CouchDBError/notFound`` when all are asked of an unknown document.
    public func openRevisions(
        of id: String, _ revisions: [Revision]? = nil, options: DocumentOptions = []
    ) async throws -> [OpenRevision] {
        let wanted = revisions.map { JSON.array($0.map { .string($0.description) }).description } ?? "all"
        let response = try await server.perform(
            Call("GET", try documentPath(id, "GET"), query: [("open_revs", wanted)] + options.query))
        return try response.array().map { row in
            if let fields = row["ok"]?.objectValue { return .found(Document(fields: fields)) }
            if let revision = row["missing"]?.stringValue.flatMap({ Revision($0) }) { return .missing(revision) }
            throw response.badAnswer("a row is neither ok nor missing")
        }
    }

    /// Saves a document: `PUT /db/id`, or `POST /db` when it has no id.
    ///
    /// - Returns: Its new revision.
    /// - Throws: ``CouchDBError/conflict`` when its revision is not the current one. Also possible after a lost connection,
    ///   when the first attempt had landed: see ``RetryPolicy``.
    @discardableResult
    public func save(_ document: Document) async throws -> Revision {
        let body = RequestBody.json(.object(document.fields))
        let call: Call
        if document.fields["_id"] == nil {
            call = Call("POST", path, body: body)
        } else {
            call = Call(
                "PUT", try documentPath(document.id, "PUT"), body: body,
                repeatability: document.revision == nil ? .onlyIfNothingHappened : .safe)
        }
        return try Self.revision(in: try await server.perform(call))
    }

    /// Deletes a document, leaving a tombstone: `DELETE /db/id?rev=…`.
    ///
    /// - Returns: The revision of the tombstone.
    /// - Throws: ``CouchDBError/conflict`` when the revision is not the current one.
    @discardableResult
    public func delete(_ id: String, revision: Revision) async throws -> Revision {
        let call = Call(
            "DELETE", try documentPath(id, "DELETE"), query: [("rev", revision.description)], repeatability: .safe)
        return try Self.revision(in: try await server.perform(call))
    }

    /// Copies a document on the server, attachments included: `COPY /db/id`.
    ///
    /// - Parameters:
    ///   - revision: Of the source; `nil` is the winning one.
    ///   - replacing: The revision of the target, if there is one.
    /// - Returns: The revision of the copy.
    @discardableResult
    public func copy(_ id: String, revision: Revision? = nil, to target: String, replacing: Revision? = nil)
        async throws -> Revision
    {
        let destination = target.percentEncodedDocumentPath + (replacing.map { "?rev=\($0)" } ?? "")
        let call = Call(
            "COPY", try documentPath(id, "COPY"), query: revision.map { [("rev", $0.description)] } ?? [],
            headers: [("Destination", destination)])
        return try Self.revision(in: try await server.perform(call))
    }

    /// The revision in the answer to a write.
    static func revision(in response: Response) throws -> Revision {
        let object = try response.object()
        guard object["ok"] == .bool(true), let revision = object["rev"]?.stringValue.flatMap({ Revision($0) }) else {
            throw response.badAnswer("it does not say ok with a revision")
        }
        return revision
    }

    /// The path of a document; an empty id would be the database itself.
    func documentPath(_ id: String, _ method: String) throws -> String {
        guard !id.isEmpty else {
            throw CouchDBError(
                code: .badRequest, reason: "an empty text can not be the id of a document",
                attempted: method + " " + path)
        }
        return path(of: id)
    }
}

extension String {
    /// The text without that character at its ends.
    func trimming(_ unit: UInt8) -> String {
        var units = utf8[...]
        while units.first == unit { units = units.dropFirst() }
        while units.last == unit { units = units.dropLast() }
        return String(Substring(units))
    }
}
