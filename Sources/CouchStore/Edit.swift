import CouchDocument

/// One document to be written.
///
/// Three kinds. An ordinary edit states the revision that it changes; the store makes the next one. A replicated edit
/// (`new_edits=false`) brings its revisions along. An edit of a `_local/` id knows no history.
package struct Edit: Sendable {
    /// How the edit stands to the revisions that are there.
    package enum Lineage: Sendable {
        /// Follows this revision; `nil` for a new document, or one whose winner is deleted.
        case follows(Revision?)
        /// Is the first of these revisions; the others are its ancestors, newest first. Never a conflict.
        case replicated([Revision])
    }

    /// The document's id.
    package var id: String
    /// Where in the history it goes.
    package var lineage: Lineage
    /// Whether it is a tombstone.
    package var isDeleted: Bool
    /// The members without those whose names start with `_`. Of a packed edit they are read from its text each time.
    package var body: JSONObject {
        get { content.fields }
        set { content = .fields(newValue) }
    }
    private(set) var content: Content
    /// All attachments that the revision shall have, in order. Those left out are gone.
    package var attachments: [EditedAttachment]

    /// An edit of these parts.
    package init(
        id: String, lineage: Lineage, isDeleted: Bool = false, body: JSONObject, attachments: [EditedAttachment] = []
    ) {
        self.id = id
        self.lineage = lineage
        self.isDeleted = isDeleted
        content = .fields(body)
        self.attachments = attachments
    }

    /// An edit that makes the revision after `parent`.
    package init(
        id: String, parent: Revision? = nil, isDeleted: Bool = false, body: JSONObject,
        attachments: [EditedAttachment] = []
    ) {
        self.init(id: id, lineage: .follows(parent), isDeleted: isDeleted, body: body, attachments: attachments)
    }

    /// Whether the document is a `_local/` one.
    package var isLocal: Bool { isReserved && id.hasPrefix("_local/") }
    /// Whether it is a design document.
    package var isDesign: Bool { isReserved && id.hasPrefix("_design/") }
    /// The quick look: only ids of these two kinds begin so.
    private var isReserved: Bool { id.utf8.first == UInt8(ascii: "_") }
}

extension Edit {
    /// The body, as it came or as it is stored.
    enum Content: Sendable {
        case fields(JSONObject)
        case packed(Packed)

        fileprivate var fields: JSONObject {
            switch self {
            case .fields(let fields): return fields
            case .packed(let packed):
                guard let fields = (try? JSON(parsing: packed.text))?.objectValue else {
                    preconditionFailure("what was written as JSON is none")
                }
                return fields
            }
        }
    }

    /// A body as the text to be stored, and the revision when that was worked out while the members were at hand. As little
    /// as can be, for a request can bring very many.
    final class Packed: Sendable {
        /// A new revision's hash, and what else it is made of.
        struct Hashed {
            let hash: RevisionHash
            let parent: Revision?
            let isDeleted: Bool
        }

        let text: [UInt8]
        let hashed: Hashed?

        init(text: [UInt8], hashed: Hashed?) {
            self.text = text
            self.hashed = hashed
        }
    }

    /// Keeps the body as the text to be stored, a fraction of the memory, for an edit that has to wait.
    ///
    /// - Parameters:
    ///   - makesRevision: Whether the new revision is worked out now, rather than when it is written.
    ///   - length: About how long the text is.
    package mutating func pack(makesRevision: Bool, length: Int) {
        guard case .fields(let fields) = content else { return }
        var writer = JSONWriter()
        writer.reserve(length)
        writer.write(fields)
        var hashed: Packed.Hashed?
        if makesRevision, attachments.isEmpty, !isLocal, case .follows(let parent) = lineage {
            let digest = Revision.digest(editing: parent, isDeleted: isDeleted, body: fields)
            hashed = Packed.Hashed(hash: RevisionHash(digest: digest), parent: parent, isDeleted: isDeleted)
        }
        content = .packed(Packed(text: writer.take(), hashed: hashed))
    }

    /// Bytes of a packed body.
    package var packedSize: Int { if case .packed(let packed) = content { packed.text.count } else { 0 } }

    /// Whether there is nothing left to be worked out: the body is text, and the revision is known.
    var isWorkedOut: Bool {
        guard case .packed = content, attachments.isEmpty else { return false }
        switch lineage {
        case .replicated: return true
        case .follows(let parent): return isLocal || knownHash(after: parent) != nil
        }
    }

    /// The hash that was worked out already for this edit as it is now.
    func knownHash(after parent: Revision?) -> RevisionHash? {
        guard case .packed(let packed) = content, let hashed = packed.hashed, attachments.isEmpty,
            hashed.parent == parent, hashed.isDeleted == isDeleted
        else { return nil }
        return hashed.hash
    }
}

/// An attachment in an edit.
package struct EditedAttachment: Sendable {
    /// Where its bytes are.
    package enum Content: Sendable {
        /// The parent revision has it already; a `revpos` or digest in the stub is not asked for, as in CouchDB.
        case stub
        /// Here.
        case bytes([UInt8])
        /// Uploaded before; see ``StoredDatabase/beginUpload()``.
        case uploaded(UploadedContent)
    }

    /// The attachment's name; it may hold `/`.
    package var name: String
    /// The media type. Ignored for a stub.
    package var contentType: String
    /// The bytes.
    package var content: Content
    /// `gzip` when the bytes are compressed, with the length of what they stand for.
    package var encoding: StoredAttachment.Encoding?
    /// The generation at which it was written, when the edit is replicated; else the store decides.
    package var revisionPosition: Int?

    /// An attachment of these parts.
    package init(
        name: String, contentType: String = "application/octet-stream", content: Content,
        encoding: StoredAttachment.Encoding? = nil, revisionPosition: Int? = nil
    ) {
        self.name = name
        self.contentType = contentType
        self.content = content
        self.encoding = encoding
        self.revisionPosition = revisionPosition
    }
}

/// What became of an edit.
package enum EditOutcome: Sendable {
    /// It is on disk. The sequence is 0 for `_local/` documents, and the document's own for a replicated revision that
    /// was there already.
    case saved(Revision, sequence: Int)
    /// Somebody else was first.
    case conflict
    /// It can not be; nothing of it was written.
    case failed(StoreError)

    /// The revision, if it was saved.
    package var revision: Revision? {
        if case .saved(let revision, _) = self { revision } else { nil }
    }

    /// Why it was not saved, if it was not.
    package var error: StoreError? {
        switch self {
        case .saved: nil
        case .conflict: .conflict
        case .failed(let error): error
        }
    }
}

/// Says whether an edit may be: CouchDB's `validate_doc_update`.
///
/// `new` is the document with `_id`, the `_rev` and `_revisions` that it follows, `_deleted` and attachment stubs; `old`
/// is the revision that it follows, `nil` when there is none. A thrown ``StoreError`` refuses this edit alone. Runs in the
/// caller's task before the edit joins the queue of writes: `old` never changes, and the writer refuses the edit if `old`
/// is no leaf any more. Not asked about `_local/` documents.
package typealias EditValidation = @Sendable (_ new: Document, _ old: Document?) async throws -> Void
