import CouchDocument
import CouchStore
import FoundationEssentials
import HTTPTypes
import NIOCore

/// `_update/{function}[/{id}]`: a function of the design document changes a document in one request.
struct UpdateRoutes: Sendable {
    let here: DatabaseCall
    let id: String

    func answer() async throws -> Answer {
        let segments = here.call.path.segments
        guard segments.count > 4 else { throw Refusal(404, "update_error", "Invalid path.") }
        if here.call.isReading {
            throw Refusal(405, "method_not_allowed", "Update functions do not allow GET")
        }
        let design = try await DesignRoutes.design(id, in: here.database)
        let name = segments[4]
        guard design.document["updates"]?[name] != nil else { throw Refusal.notFound("missing json key: \(name)") }
        let documentID = segments.count > 5 ? segments[5...].joined(separator: "/") : nil
        var document: JSONObject?
        if let documentID, let stored = try await here.database.read(documentID), !stored.isDeleted {
            document = stored.document().fields
        }
        let text = String(buffer: try await here.call.body())
        let request = try await FunctionRequest(here: here)
            .json(documentID: documentID, text: text.isEmpty ? "undefined" : text)
        let update = try await here.database.views.functions
            .update(name, of: design, document: document, request: request)
        var revision: Revision?
        var savedID = documentID
        if let changed = update.document {
            let draft = try DocumentDraft(.object(changed), limit: here.service.settings.limits.documentSize)
            guard let id = draft.id else { throw Refusal.badRequest("the update function gave a document without _id") }
            revision = try await DocumentWriter(here: here).save(try draft.edit(isReplicated: false))
            savedID = id
        }
        return try Self.answer(update.response, revision: revision, id: savedID)
    }

    /// Headers that say how the answer is sent, which is not the function's to decide.
    private static let framing: Set<HTTPField.Name> = [.contentLength, .transferEncoding, .connection]

    static func answer(_ response: JSONObject, revision: Revision?, id: String?) throws(Refusal) -> Answer {
        var type = "text/html; charset=utf-8"
        var body: [UInt8] = []
        if let json = response["json"] {
            type = "application/json"
            body = json.encoded() + [UInt8(ascii: "\n")]
        } else if let data = response["base64"]?.stringValue.flatMap({ Data(base64Encoded: $0) }) {
            type = "application/binary"
            body = Array(data)
        } else if let text = response["body"]?.stringValue {
            body = Array(text.utf8)
        }
        let status = response["code"]?.intValue ?? (revision == nil ? 200 : 201)
        guard (200...599).contains(status) else {
            throw Refusal(500, "internal_server_error", "the function answered with the status \(status)")
        }
        var answer = Answer(status, contentType: type, .bytes(body))
        for (name, value) in response["headers"]?.objectValue ?? [:] {
            guard let field = HTTPField.Name(name), !framing.contains(field) else { continue }
            answer.headers[field] = value.stringValue ?? value.description
        }
        if let revision {
            answer.headers[.newRevision] = revision.description
            answer.headers[.documentID] = id.map { RequestPath.encode($0) }
        }
        return answer
    }
}
