import CouchDocument
import CouchStore
import FoundationEssentials

/// A document as a client sent it, its special members taken apart.
struct DocumentDraft: Sendable {
    /// `_id`, or the id of the path, which wins.
    var id: String?
    /// `_rev`, or what query and headers say.
    var revision: Revision?
    /// `_revisions`, newest first.
    var history: [Revision]?
    var isDeleted = false
    /// The members without a leading underscore.
    var body = JSONObject()
    var attachments: [EditedAttachment] = []
    /// Attachments whose bytes follow in the other parts of a multipart request, in order.
    var following: [Following] = []

    /// An attachment that is announced here and sent later.
    struct Following: Sendable {
        /// Its place in ``DocumentDraft/attachments``.
        let position: Int
        let name: String
        let length: Int?
        let encodingLength: Int?
    }

    /// Takes a JSON value apart.
    ///
    /// - Parameter limit: The largest document in bytes; a larger one is refused with its own `_id` as reason.
    init(_ json: JSON, limit: Int) throws {
        guard case .object(let object) = json else { throw Refusal.badRequest("Document must be a JSON object") }
        let (special, body) = object.parted { $0.utf8.first == UInt8(ascii: "_") }
        self.body = body
        for (name, value) in special { try readSpecial(name, value) }
        if let history, revision == nil || history.first == revision { revision = history.first }
        if limit < Int.max, JSON.object(body).encoded().count > limit { throw Refusal.documentTooLarge(id ?? "") }
    }

    private mutating func readSpecial(_ name: String, _ value: JSON) throws {
        switch name {
        case "_id":
            guard let text = value.stringValue else {
                throw Refusal(400, "illegal_docid", "Document id must be a string")
            }
            try Self.checkID(text)
            id = text
        case "_rev":
            guard let text = value.stringValue else { throw Refusal.badRequest("Invalid rev format") }
            revision = try Self.revision(text)
        case "_deleted":
            guard let flag = value.boolValue else { throw Self.bad(name) }
            isDeleted = flag
        case "_revisions": history = try Self.history(value)
        case "_attachments": try readAttachments(value)
        case "_revs_info", "_local_seq", "_conflicts", "_deleted_conflicts": break
        case "_replication_id", "_replication_state", "_replication_state_time", "_replication_state_reason",
            "_replication_stats", "_replication_start_time":
            body[name] = value
        default: throw Self.bad(name)
        }
    }

    private static func bad(_ name: String) -> Refusal {
        Refusal(400, "doc_validation", "Bad special document member: \(name)")
    }

    /// Refuses ids that CouchDB keeps for itself.
    static func checkID(_ id: String) throws(Refusal) {
        if id.isEmpty { throw Refusal(400, "illegal_docid", "Document id must not be empty") }
        if id.utf8.count > 8 << 10 { throw Refusal(400, "illegal_docid", "Document id is too long") }
        guard id.utf8.first == UInt8(ascii: "_") else { return }
        if id == "_local" || id == "_local/" { throw Refusal.badRequest("Invalid _local document id.") }
        for prefix in ["_design/", "_local/"] where id.hasPrefix(prefix) && id.utf8.count > prefix.utf8.count { return }
        throw Refusal(400, "illegal_docid", "Only reserved document ids may start with underscore.")
    }

    static func revision(_ text: some StringProtocol) throws(Refusal) -> Revision {
        guard let revision = Revision(text) else { throw Refusal.badRequest("Invalid rev format") }
        return revision
    }

    private static func history(_ value: JSON) throws(Refusal) -> [Revision] {
        guard let start = value["start"]?.intValue, (0...Revision.maximumGeneration).contains(start) else {
            throw Refusal(400, "doc_validation", "_revisions.start isn't an integer.")
        }
        guard let ids = value["ids"]?.arrayValue else {
            throw Refusal(400, "doc_validation", "_revisions.ids isn't a array.")
        }
        var revisions: [Revision] = []
        for (index, id) in ids.enumerated() {
            guard let hash = id.stringValue, start - index > 0 || start == 0 else {
                throw Refusal(400, "doc_validation", "RevId isn't a string")
            }
            revisions.append(Revision(generation: max(0, start - index), hash: hash))
        }
        return revisions
    }

    private mutating func readAttachments(_ value: JSON) throws {
        guard let members = value.objectValue else { throw Self.bad("_attachments") }
        for (name, entry) in members {
            try Self.checkAttachmentName(name)
            // CouchDB 3.5 stores the document without an attachment that is no object.
            guard let fields = entry.objectValue else { continue }
            let type = fields["content_type"]?.stringValue ?? "application/octet-stream"
            let position = fields["revpos"]?.intValue
            var encoding: StoredAttachment.Encoding?
            if let word = fields["encoding"]?.stringValue, word != "identity" {
                encoding = .init(name: word, decodedLength: fields["length"]?.intValue ?? 0)
            }
            var content = EditedAttachment.Content.stub
            if fields["stub"] != true {
                if fields["follows"] == true {
                    following.append(
                        Following(
                            position: attachments.count, name: name, length: fields["length"]?.intValue,
                            encodingLength: fields["encoded_length"]?.intValue))
                } else {
                    guard let text = fields["data"]?.stringValue,
                        let data = Data(base64Encoded: text.filter { !$0.isWhitespace })
                    else { throw Refusal.badRequest("Invalid attachment data for \(name)") }
                    content = .bytes(Array(data))
                    encoding = nil
                }
            }
            attachments.append(
                EditedAttachment(
                    name: name, contentType: type, content: content, encoding: encoding, revisionPosition: position))
        }
    }

    static func checkAttachmentName(_ name: String) throws(Refusal) {
        if name.utf8.first == UInt8(ascii: "_") {
            throw .badRequest("Attachment name '\(name)' starts with prohibited character '_'")
        }
    }

    /// The edit to write; the id must be known by now.
    ///
    /// - Parameter isReplicated: `new_edits=false`: the revisions are taken as they are.
    func edit(isReplicated: Bool) throws(Refusal) -> Edit {
        let lineage = isReplicated ? try Self.replicated(path) : .follows(revision)
        return Edit(id: id ?? "", lineage: lineage, isDeleted: isDeleted, body: body, attachments: attachments)
    }

    /// What it says of its own revisions, newest first: they are taken as they are when it is replicated.
    var path: [Revision]? { revision.map { history ?? [$0] } }

    static func replicated(_ path: [Revision]?) throws(Refusal) -> Edit.Lineage {
        guard let path else {
            throw .badRequest("When `new_edits: false`, the document needs `_rev` or `_revisions` specified")
        }
        return .replicated(path)
    }
}
