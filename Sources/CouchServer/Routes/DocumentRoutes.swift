import CouchDocument
import CouchStore
import HTTPTypes

/// `/{db}/{id}`: one document, design and local documents included.
struct DocumentRoutes: Sendable {
    let here: DatabaseCall
    let id: String
    static let verbs = "DELETE,GET,HEAD,POST,PUT,COPY"

    private var call: Call { here.call }
    private var isLocal: Bool { id.hasPrefix("_local/") }

    func answer() async throws -> Answer {
        switch call.method {
        case "GET", "HEAD": return try await get()
        case "PUT": return try await put()
        case "DELETE": return try await delete()
        case "COPY": return try await copy()
        case "POST": throw Refusal.badRequest("Referer header required.")
        default:
            throw Refusal(405, "method_not_allowed", "Only \(Self.verbs) allowed", headers: [("Allow", Self.verbs)])
        }
    }

    /// The two system databases do not show everything to everybody.
    private func requireVisible() async throws {
        if here.isUsers { try UserDocuments(here: here).requireReadable(id) }
        if here.isReplicator { try await ReplicatorDocuments(here: here).requireOwned(id) }
    }

    // MARK: Reading

    private func get() async throws -> Answer {
        if isLocal { return try await getLocal() }
        try await requireVisible()
        let view = try DocumentView(call.query)
        if let wanted = call.query["open_revs"] {
            return try await OpenRevisionsRoutes(here: here, id: id, view: view).answer(wanted)
        }
        let document = try await stored()
        let tag = "\"\(document.revision)\""
        let hasTag = !view.dependsOnMore(than: document)
        if hasTag && call.alreadyHas(tag) { return .notModified(tag) }
        if !view.contents(of: document).isEmpty && !call.acceptsJSON {
            return try await MultipartDocument.answer(document, view: view, of: here.database)
                .with(.eTag, tag)
        }
        var writer = JSONWriter()
        try await view.write(document, of: here.database, to: &writer)
        writer.raw("\n")
        let answer = Answer.json(200, written: writer.bytes)
        return hasTag ? answer.with(.eTag, tag) : answer
    }

    /// The revision that the query names, else the winner.
    private func stored() async throws -> StoredDocument {
        let database = here.database
        if let text = call.query["rev"] {
            let revision = try DocumentDraft.revision(text)
            if call.query.flag("latest") {
                let request = RevisionRequest(id: id, selection: .revisions([revision]), latest: true)
                if case .found(let document)? = try await database.read([request]).first?.first { return document }
                // CouchDB answers with the winner when nobody knows the revision.
            } else {
                guard let document = try await database.read(id, revision: revision) else { throw Refusal.notFound() }
                return document
            }
        }
        guard let document = try await database.read(id) else { throw Refusal.notFound() }
        if document.isDeleted { throw Refusal.notFound("deleted") }
        return document
    }

    private func getLocal() async throws -> Answer {
        guard let document = try await here.database.localDocument(id) else { throw Refusal.notFound() }
        return .json(200, .object(document.fields)).with(.eTag, "\"\(Self.localTag(document))\"")
    }

    private static func localTag(_ document: Document) -> String {
        // The revision of a local document starts anew, so it says nothing about the content.
        let text = document.fields.description
        return Revision(editing: nil, isDeleted: false, body: ["local": .string(text)]).hash
    }

    // MARK: Writing

    /// The revision from the query, `If-Match` or the document, which must agree.
    private func revision(ofBody body: Revision?) throws -> Revision? {
        var stated = body
        var others: [String] = []
        if let text = call.query["rev"] { others.append(text) }
        if let text = call.headers[.ifMatch] { others.append(text.filter { $0 != "\"" }) }
        for text in others {
            let revision = try DocumentDraft.revision(text)
            if let stated, stated != revision {
                throw Refusal.badRequest("Document rev from request body and query string have different values")
            }
            stated = revision
        }
        return stated
    }

    private func put() async throws -> Answer {
        let type = call.headers[.contentType]?.lowercased() ?? ""
        var draft: DocumentDraft
        if type.hasPrefix("multipart/related") {
            draft = try await MultipartUpload(here: here).draft()
        } else {
            draft = try await self.draft(try await call.json())
        }
        try DocumentDraft.checkID(id)
        draft.id = id
        draft.revision = try revision(ofBody: draft.revision)
        let edit = try draft.edit(isReplicated: call.query["new_edits"] == "false")
        return try await write(edit, isPost: false)
    }

    private func draft(_ json: JSON) async throws -> DocumentDraft {
        var json = json
        // The path's id wins; what the body says instead is not even looked at.
        if case .object(var fields) = json, !id.isEmpty {
            fields["_id"] = nil
            json = .object(fields)
        }
        let draft = try DocumentDraft(
            json, limit: call.documentLimit(here.service.settings.limits.documentSize))
        if !draft.following.isEmpty { throw Refusal.badRequest("attachments follow in a multipart request only") }
        return draft
    }

    /// `POST /{db}`.
    func post() async throws -> Answer {
        try call.requireJSONContent()
        var draft = try await draft(try await call.json())
        if draft.id == nil { draft.id = here.service.uuids.next() }
        return try await write(try draft.edit(isReplicated: call.query["new_edits"] == "false"), isPost: true)
    }

    private func write(_ edit: Edit, isPost: Bool) async throws -> Answer {
        let writer = DocumentWriter(here: here)
        if call.query["batch"] == "ok" { return try await writer.saveUntold(edit) }
        let revision = try await writer.save(edit)
        let status = edit.isDeleted && !isPost ? 200 : 201
        var answer = saved(status, id: edit.id, revision)
        answer.headers[.location] = call.location(here.database.name, edit.id)
        if isPost { answer.headers[.eTag] = nil }
        return answer
    }

    private func saved(_ status: Int, id: String, _ revision: Revision) -> Answer {
        Answer.json(status, ["ok": true, "id": .string(id), "rev": .string(revision.description)])
            .with(.eTag, "\"\(revision)\"")
    }

    private func delete() async throws -> Answer {
        let revision = try revision(ofBody: nil)
        if isLocal {
            guard try await here.database.localDocument(id) != nil else { throw Refusal.notFound() }
        } else {
            try await requireVisible()
            guard let document = try await here.database.read(id) else { throw Refusal.notFound() }
            // A leaf that lost can be deleted also when the winner is a tombstone.
            if document.isDeleted && !document.hasOtherLeaves || document.isDeleted && revision == document.revision {
                throw Refusal.notFound("deleted")
            }
        }
        let edit = Edit(id: id, parent: revision, isDeleted: true, body: [:])
        let writer = DocumentWriter(here: here)
        if call.query["batch"] == "ok" { return try await writer.saveUntold(edit) }
        return saved(200, id: id, try await writer.save(edit))
    }

    private func copy() async throws -> Answer {
        guard let destination = call.headers[.destination] else {
            throw Refusal.badRequest("Destination header is mandatory for COPY.")
        }
        if destination.hasPrefix("http://") || destination.hasPrefix("https://") {
            throw Refusal.badRequest("Destination URL must be relative.")
        }
        let parts = destination.split(separator: "?", maxSplits: 1)
        guard let target = parts.first,
            let bytes = RequestPath.decode(target.utf8), let copyID = String(validating: bytes, as: UTF8.self)
        else { throw Refusal.badRequest("invalid_url_encoding") }
        try DocumentDraft.checkID(copyID)
        let query = try Query(parts.count > 1 ? parts[1] : "")
        let parent = try query["rev"].map { try DocumentDraft.revision($0) }
        try await requireVisible()
        let source = try await stored()
        let fields = source.document().fields.filter { !$0.name.hasPrefix("_") }
        var attachments: [EditedAttachment] = []
        for attachment in source.attachments {
            let content = try await here.database.content(of: attachment)
            attachments.append(
                EditedAttachment(
                    name: attachment.name, contentType: attachment.contentType,
                    content: .bytes(try await content.read(at: 0, count: content.length)), encoding: attachment.encoding
                ))
        }
        let body = JSONObject(fields.map { ($0.name, $0.value) })
        let revision = try await DocumentWriter(here: here)
            .save(Edit(id: copyID, parent: parent, body: body, attachments: attachments))
        return saved(201, id: copyID, revision).with(.location, call.location(here.database.name, copyID))
    }
}
