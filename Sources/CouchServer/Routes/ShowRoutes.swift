import CouchDocument
import CouchStore
import Crypto
import HTTPTypes
import Hummingbird
import NIOCore

/// `_show/{function}[/{id}]` and `_list/{function}/[{other}/]{view}`: CouchDB's old way of making pages.
struct ShowRoutes: Sendable {
    let here: DatabaseCall
    let id: String

    func answer() async throws -> Answer {
        let segments = here.call.path.segments
        guard segments.count > 4 else { throw Refusal(404, "render_error", "Invalid path.") }
        let design = try await DesignRoutes.design(id, in: here.database)
        return segments[3] == "_show"
            ? try await show(segments[4], design, segments.dropFirst(5).joined(separator: "/"))
            : try await list(segments[4], design, Array(segments.dropFirst(5)))
    }

    private func bodyText() async throws -> String {
        here.call.isReading ? "undefined" : String(buffer: try await here.call.body())
    }

    private func show(_ name: String, _ design: DesignDocument, _ documentID: String) async throws -> Answer {
        guard design.document["shows"]?[name] != nil else { throw Refusal.notFound("missing json key: \(name)") }
        var document: JSONObject?
        if !documentID.isEmpty, let stored = try await here.database.read(documentID), !stored.isDeleted {
            document = stored.document().fields
        }
        let request = try await FunctionRequest(here: here).json(
            documentID: documentID.isEmpty ? nil : documentID, text: try await bodyText())
        let response = try await here.database.views.functions.show(
            name, of: design, document: document, request: request)
        return tagged(try UpdateRoutes.answer(response, revision: nil, id: nil))
    }

    private func list(_ name: String, _ design: DesignDocument, _ place: [String]) async throws -> Answer {
        guard design.document["lists"]?[name]?.stringValue != nil else {
            throw Refusal.notFound("missing json key: \(name)")
        }
        guard let view = place.last, place.count <= 2 else { throw Refusal(404, "list_error", "Invalid path.") }
        let owner = place.count == 2 ? try await DesignRoutes.design("_design/\(place[0])", in: here.database) : design
        var options = RowOptions()
        try options.read(here.call.query)
        let text = try await bodyText()
        // A POST says in its body which keys it wants.
        if here.call.method == "POST", let keys = (try? JSON(parsing: text))?["keys"] {
            try options.read(["keys": keys])
        }
        let result = try await here.database.views.pages(design: owner, view: view, ViewRoutes.query(options))
        var head = JSONObject()
        if let total = result.totalRows { head["total_rows"] = .integer(total) }
        if let offset = result.offset { head["offset"] = .integer(offset) }
        let request = try await FunctionRequest(here: here).json(documentID: nil, text: text)
        let run = try here.database.views.functions.list(name, of: design, head: head, request: request, rows: result)
        return try await Self.answer(run) { tagged($0) }
    }

    // A list with no more than this is sent in one piece, with a tag.
    private static let small = 64 << 10

    /// The answer of a list function, which goes out while the function goes on when it is not small.
    private static func answer(_ run: ListRun, tagged: (Answer) -> Answer) async throws -> Answer {
        var response = JSONObject()
        var text: [UInt8] = []
        for try await event in run.events {
            switch event {
            case .head(let head): response = head
            case .part(let part):
                text += part
                run.partWasTaken()
            }
            if text.count > small { break }
        }
        var answer = try UpdateRoutes.answer(response, revision: nil, id: nil)
        guard text.count > small else {
            answer.body = .bytes(text)
            return tagged(answer)
        }
        let beginning = text
        answer.body = .stream(length: nil) { writer in
            try await writer.write(ByteBuffer(bytes: beginning))
            for try await event in run.events {
                guard case .part(let part) = event else { continue }
                try await writer.write(ByteBuffer(bytes: part))
                run.partWasTaken()
            }
        }
        return answer
    }

    private func tagged(_ answer: Answer) -> Answer {
        guard case .bytes(let bytes) = answer.body else { return answer }
        let tag = "\"\(hexadecimal(Insecure.MD5.hash(data: bytes)))\""
        return here.call.alreadyHas(tag) ? .notModified(tag) : answer.with(.eTag, tag)
    }
}
