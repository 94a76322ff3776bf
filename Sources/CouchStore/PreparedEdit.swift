import CouchDocument
import Crypto

/// An edit with everything worked out that needs no look at the database, so that the writer's thread need not do it.
struct PreparedEdit: Sendable {
    /// What the writer has of an attachment.
    enum Content: Sendable {
        case stub
        case new(UploadedContent)
    }

    let edit: Edit
    /// The body as JSON text.
    let body: [UInt8]
    /// For each attachment of the edit.
    let contents: [Content]
    /// The revision, if the parent is the one that the edit states. `nil` when stubs are to be looked up first.
    let revision: Revision?
    /// The revision as it is stored.
    let encodedRevision: [UInt8]?

    /// - Parameter contents: The bytes of each attachment, measured and digested; see ``UploadedContent``.
    init(_ edit: Edit, contents: [Content]) {
        self.edit = edit
        self.contents = contents
        if case .packed(let packed) = edit.content {
            body = packed.text
        } else {
            var writer = JSONWriter()
            writer.write(edit.body)
            body = writer.bytes
        }
        if case .follows(let parent) = edit.lineage, let hash = edit.knownHash(after: parent) {
            let generation = (parent?.generation ?? 0) + 1
            revision = Revision(generation: generation, hash: hash.text)
            encodedRevision = Revision.encoded(generation: generation, hash)
        } else {
            revision = Self.revision(of: edit, contents)
            encodedRevision = revision?.encoded
        }
    }

    private static func revision(of edit: Edit, _ contents: [Content]) -> Revision? {
        switch edit.lineage {
        case .replicated(let path): return path.first
        case .follows(let parent):
            if edit.isLocal { return nil }
            var digests: [AttachmentDigest] = []
            for (attachment, content) in zip(edit.attachments, contents) {
                guard case .new(let bytes) = content else { return nil }
                digests.append(
                    AttachmentDigest(name: attachment.name, contentType: attachment.contentType, md5: bytes.md5))
            }
            return Revision(editing: parent, isDeleted: edit.isDeleted, body: edit.body, attachments: digests)
        }
    }
}

extension UploadedContent {
    /// Bytes that are here already.
    init(_ bytes: [UInt8]) {
        self.init(md5: Array(Insecure.MD5.hash(data: bytes)), length: bytes.count, location: .memory(bytes))
    }
}
