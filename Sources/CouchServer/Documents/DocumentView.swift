import CouchDocument
import CouchStore
import FoundationEssentials

/// How a document is shown: the options of a read that concern one document.
struct DocumentView: Sendable {
    var details: DocumentDetails = []
    /// Whether `_revs_info` is told.
    var revisionStatuses = false
    /// Whether attachments come with their content.
    var attachments = false
    /// Attachments written at these revisions or before come as stubs; `nil`: none of them.
    var attachmentsSince: [Revision]?

    /// The options of `GET /{db}/{doc}`.
    init(_ query: Query) throws {
        if query.flag("revs") { details.insert(.revisions) }
        if query.flag("conflicts") || query.flag("meta") { details.insert(.conflicts) }
        if query.flag("deleted_conflicts") || query.flag("meta") { details.insert(.deletedConflicts) }
        if query.flag("local_seq") { details.insert(.localSequence) }
        if query.flag("att_encoding_info") { details.insert(.attachmentEncodings) }
        revisionStatuses = query.flag("revs_info") || query.flag("meta")
        attachments = query.flag("attachments")
        if let list = try query.json("atts_since") {
            attachmentsSince = try Self.revisions(list)
            attachments = true
        }
    }

    init(details: DocumentDetails = [], attachments: Bool = false) {
        self.details = details
        self.attachments = attachments
    }

    static func revisions(_ json: JSON) throws(Refusal) -> [Revision] {
        guard let list = json.arrayValue else { throw .badRequest("Invalid list of revisions") }
        var revisions: [Revision] = []
        for item in list {
            guard let text = item.stringValue else { throw .badRequest("Invalid rev format") }
            revisions.append(try DocumentDraft.revision(text))
        }
        return revisions
    }

    /// Whether the answer says more than the revision does, so that the revision is no ETag for it.
    func dependsOnMore(than document: StoredDocument) -> Bool {
        if showsStatuses(of: document) || details.contains(.localSequence) { return true }
        guard !details.isDisjoint(with: [.conflicts, .deletedConflicts]), document.hasOtherLeaves else { return false }
        return document.tree.leaves.contains {
            $0.revision != document.revision && details.contains($0.isDeleted ? .deletedConflicts : .conflicts)
        }
    }

    /// Whether `_revs_info` is told: CouchDB does so for leaves only.
    func showsStatuses(of document: StoredDocument) -> Bool {
        revisionStatuses && document.tree.isLeaf(document.revision)
    }

    /// The attachments whose content goes along.
    func contents(of document: StoredDocument) -> [StoredAttachment] {
        guard attachments, document.hasAttachments else { return [] }
        guard let since = attachmentsSince else { return document.attachments }
        // The client has what stood in the youngest of its revisions that is an ancestor of this one.
        let path = document.tree.path(to: document.revision)
        let known = path.first { since.contains($0) }?.generation ?? 0
        return document.attachments.filter { $0.revisionPosition > known }
    }

    /// Bytes of attachments that one document may carry inside its JSON, which must be in memory as a whole.
    private static let mostInline = 256 << 20

    private static func tooMuchInline(_ id: String) -> Refusal {
        Refusal(413, "too_large", "the attachments of \(id) are too large for JSON: ask for multipart/related")
    }

    /// Writes a document into JSON, attachments' content as base64.
    func write(_ document: StoredDocument, of database: StoredDatabase, to writer: inout JSONWriter) async throws {
        var loaded: [(attachment: StoredAttachment, data: String)] = []
        var left = Self.mostInline
        for attachment in contents(of: document) {
            let content = try await database.content(of: attachment)
            if content.length > left { throw Self.tooMuchInline(document.id) }
            var bytes = try await content.read(at: 0, count: content.length)
            if attachment.encoding?.name == "gzip" {
                do {
                    bytes = try await Gzip.decompress(bytes, limit: left)
                } catch Gzip.Fault.tooLarge {
                    throw Self.tooMuchInline(document.id)
                } catch Gzip.Fault.malformed {
                    // Sent as it is stored: whoever wrote it knows what it is.
                }
            }
            left -= bytes.count
            loaded.append((attachment, Data(bytes).base64EncodedString()))
        }
        var more = JSONObject()
        if showsStatuses(of: document) {
            let statuses = try await database.revisionStatuses(of: document.id, revision: document.revision)
            more["_revs_info"] = .array(
                statuses.map { ["rev": .string($0.revision.description), "status": .string($0.status.rawValue)] })
        }
        document.write(
            to: &writer, details: details, sequence: SequenceText.text(document.sequence, of: database), more: more
        ) { attachment in
            guard let found = loaded.first(where: { $0.attachment.name == attachment.name }) else { return nil }
            return [
                "content_type": .string(attachment.contentType), "revpos": .integer(attachment.revisionPosition),
                "digest": .string(attachment.digest), "data": .string(found.data),
            ]
        }
    }
}
