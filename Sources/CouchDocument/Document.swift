/// A CouchDB document: a JSON object with an id and, once saved, a revision.
///
/// All members are kept, also those that nobody here knows, and in their order. The names with a leading underscore are
/// CouchDB's own; typed access to the usual ones is here.
public struct Document: Hashable, Sendable {
    /// All members, `_id` and `_rev` included.
    public var fields: JSONObject

    /// A document of these members.
    public init(fields: JSONObject) { self.fields = fields }

    /// A new document with an id and other members.
    public init(id: String, fields: JSONObject = [:]) {
        self.fields = ["_id": .string(id)]
        self.fields.merge(fields)
    }

    /// A member; `nil` removes it when set.
    public subscript(name: String) -> JSON? {
        get { fields[name] }
        set { fields[name] = newValue }
    }

    /// `_id`; empty when the document has none yet.
    public var id: String {
        get { fields["_id"]?.stringValue ?? "" }
        set { fields["_id"] = .string(newValue) }
    }

    /// `_rev`; `nil` when the document was never saved.
    public var revision: Revision? {
        get { fields["_rev"]?.stringValue.flatMap { Revision($0) } }
        set { fields["_rev"] = newValue.map { .string($0.description) } }
    }

    /// Whether this is the tombstone of a deleted document (`_deleted`).
    public var isDeleted: Bool { fields["_deleted"] == .bool(true) }

    /// `_conflicts`, when it was asked for: the leaf revisions that lost against this one.
    public var conflicts: [Revision] {
        fields["_conflicts"]?.arrayValue?.compactMap { $0.stringValue.flatMap { Revision($0) } } ?? []
    }

    /// `_attachments` by name: stubs, or content that is to be saved with the document.
    public var attachments: JSONObject {
        get { fields["_attachments"]?.objectValue ?? [:] }
        set { fields["_attachments"] = newValue.isEmpty ? nil : .object(newValue) }
    }

    /// What is known of the attachment of that name without reading it.
    public func attachment(_ name: String) -> AttachmentStub? {
        attachments[name]?.objectValue.map(AttachmentStub.init)
    }
}

/// What a document says of an attachment whose content stays on the server.
public struct AttachmentStub: Hashable, Sendable {
    /// The media type.
    public let contentType: String
    /// The size in bytes, when the server told it.
    public let length: Int?
    /// `md5-` and the base64 MD5 of the content, when the server told it.
    public let digest: String?
    /// The generation of the document at which it was last written.
    public let revisionPosition: Int?

    /// Reads the members of an entry of `_attachments`.
    public init(_ fields: JSONObject) {
        contentType = fields["content_type"]?.stringValue ?? "application/octet-stream"
        length = fields["length"]?.intValue
        digest = fields["digest"]?.stringValue
        revisionPosition = fields["revpos"]?.intValue
    }
}
