import CouchDocument
import CouchStore
import FoundationEssentials
import HTTPTypes
import Hummingbird
import NIOCore

/// `/{db}/{id}/{name}`: one attachment as a file of its own.
struct AttachmentRoutes: Sendable {
    let here: DatabaseCall
    let id: String
    let name: String
    private static let pieceSize = 256 << 10
    private static let verbs = "DELETE,GET,HEAD,PUT"

    private var call: Call { here.call }

    func answer() async throws -> Answer {
        if here.isUsers { try UserDocuments(here: here).requireReadable(id) }
        switch call.method {
        case "GET", "HEAD": return try await get()
        case "PUT": return try await put()
        case "DELETE": return try await delete()
        default:
            throw Refusal(405, "method_not_allowed", "Only \(Self.verbs) allowed", headers: [("Allow", Self.verbs)])
        }
    }

    private func statedRevision() throws(Refusal) -> Revision? {
        guard let text = call.query["rev"] ?? call.headers[.ifMatch]?.filter({ $0 != "\"" }) else { return nil }
        return try DocumentDraft.revision(text)
    }

    // MARK: Reading

    private func document() async throws -> StoredDocument {
        if let revision = try statedRevision() {
            guard let document = try await here.database.read(id, revision: revision) else { throw Refusal.notFound() }
            return document
        }
        guard let document = try await here.database.read(id) else { throw Refusal.notFound() }
        if document.isDeleted { throw Refusal.notFound("deleted") }
        return document
    }

    private func get() async throws -> Answer {
        guard let attachment = try await document().attachments.first(where: { $0.name.utf8.elementsEqual(name.utf8) })
        else { throw Refusal.notFound("Document is missing attachment") }
        let tag = "\"\(Data(attachment.md5).base64EncodedString())\""
        if call.alreadyHas(tag) { return .notModified(tag) }
        let content = try await here.database.content(of: attachment)
        var answer = Answer(200, contentType: attachment.contentType, .bytes([]))
        answer.headers[.eTag] = tag
        answer.headers[.contentSecurityPolicy] = "sandbox"
        answer.headers[.acceptRanges] = attachment.encoding == nil ? "bytes" : "none"
        if let encoding = attachment.encoding {
            let isTaken = call.headers[.acceptEncoding]?.contains(encoding.name) == true
            if !isTaken && encoding.name == "gzip" {
                let name = name
                answer.body = .stream(length: nil) { writer in try await Self.expand(content, name, to: &writer) }
                return answer
            }
            answer.headers[.contentEncoding] = encoding.name
        } else {
            answer.headers[.contentMD5] = Data(attachment.md5).base64EncodedString()
            if let header = call.headers[.range] { try AttachmentRange.apply(header, content, to: &answer) }
            if answer.status != 200 { return answer }
        }
        answer.body = .stream(length: content.length) { writer in try await Self.copy(content, to: &writer) }
        return answer
    }

    /// Sends stored bytes piece by piece.
    static func copy(
        _ content: AttachmentContent, from start: Int = 0, count: Int? = nil, to writer: inout any ResponseBodyWriter
    )
        async throws
    {
        let end = start + (count ?? content.length - start)
        var offset = start
        while offset < end {
            let piece = try await content.read(at: offset, count: min(pieceSize, end - offset))
            if piece.isEmpty {
                throw Refusal(500, "internal_server_error", "the attachment is shorter than it should be")
            }
            try await writer.write(ByteBuffer(bytes: piece))
            offset += piece.count
        }
    }

    /// Sends gzipped bytes decompressed.
    private static func expand(_ content: AttachmentContent, _ name: String, to writer: inout any ResponseBodyWriter)
        async throws
    {
        var gzip = GzipStream()
        var offset = 0
        do {
            while offset < content.length {
                let piece = try await content.read(at: offset, count: pieceSize)
                gzip.push(piece)
                offset += piece.count
                if offset >= content.length || piece.isEmpty { gzip.finish() }
                while let plain = try gzip.next() { try await writer.write(ByteBuffer(bytes: plain)) }
                if piece.isEmpty { break }
            }
        } catch is Gzip.Fault {
            throw Refusal(500, "internal_server_error", "the attachment \(name) is no gzip data")
        }
    }

    // MARK: Writing

    private func put() async throws -> Answer {
        try DocumentDraft.checkID(id)
        try DocumentDraft.checkAttachmentName(name)
        if id.hasPrefix("_local/") { throw Refusal.badRequest("_local documents do not accept attachments.") }
        let parent = try statedRevision()
        let edit = try await edit(after: parent)
        let type = call.headers[.contentType] ?? "application/octet-stream"
        let content: EditedAttachment.Content
        if call.headers[.contentEncoding] != nil {
            content = .bytes(Array(try await call.body().readableBytesView))
        } else {
            let upload = here.database.beginUpload()
            for try await piece in try await call.bodyStream() {
                try await upload.append(Array(piece.readableBytesView))
                if upload.length > here.service.settings.limits.attachmentSize { throw Self.tooLarge(name) }
            }
            content = .uploaded(try await upload.finish())
        }
        var changed = edit
        changed.attachments.removeAll { $0.name.utf8.elementsEqual(name.utf8) }
        changed.attachments.append(EditedAttachment(name: name, contentType: type, content: content))
        var answer = try await save(changed, status: 201)
        answer.headers[.location] = call.location(here.database.name, id, name)
        return answer
    }

    private func delete() async throws -> Answer {
        let parent = try statedRevision()
        if try await here.database.read(id) == nil { throw parent == nil ? Refusal.notFound() : Self.missingRevision }
        guard let parent else { throw Refusal.conflict }
        var edit = try await edit(after: parent)
        guard edit.attachments.contains(where: { $0.name.utf8.elementsEqual(name.utf8) }) else {
            throw Refusal.notFound("Document is missing attachment")
        }
        edit.attachments.removeAll { $0.name.utf8.elementsEqual(name.utf8) }
        return try await save(edit, status: 200)
    }

    /// In CouchDB's words.
    static func tooLarge(_ name: String) -> Refusal { Refusal(413, "attachment_too_large", name) }

    private static let missingRevision = Refusal(409, "not_found", "missing_rev")

    /// The document as it is, to be written again with other attachments.
    private func edit(after parent: Revision?) async throws -> Edit {
        guard let parent else {
            if let winner = try await here.database.read(id), !winner.isDeleted { throw Refusal.conflict }
            return Edit(id: id, body: [:])
        }
        guard let document = try await here.database.read(id, revision: parent) else {
            if try await here.database.read(id) == nil { return Edit(id: id, parent: parent, body: [:]) }
            throw Self.missingRevision
        }
        let fields = document.document().fields.filter { !$0.name.hasPrefix("_") }
        return Edit(
            id: id, parent: parent, body: JSONObject(fields.map { ($0.name, $0.value) }),
            attachments: document.attachments.map {
                EditedAttachment(name: $0.name, contentType: $0.contentType, content: .stub)
            })
    }

    private func save(_ edit: Edit, status: Int) async throws -> Answer {
        let writer = DocumentWriter(here: here)
        if call.query["batch"] == "ok" { return try await writer.saveUntold(edit) }
        let revision = try await writer.save(edit)
        return .json(status, ["ok": true, "id": .string(id), "rev": .string(revision.description)])
    }
}
