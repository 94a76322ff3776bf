import CouchDocument
import CouchStore
import Crypto
import HTTPTypes
import NIOCore

/// `_show/{function}[/{id}]` and `_list/{function}/[{other}/]{view}`: CouchDB's old way of making pages.
///
/// A list function gets all rows of the view at once, so it is for small ones.
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

    private func request(_ documentID: String?) async throws -> JSON {
        let text = here.call.isReading ? "undefined" : String(buffer: try await here.call.body())
        return try await FunctionRequest(here: here).json(documentID: documentID, text: text)
    }

    private func show(_ name: String, _ design: DesignDocument, _ documentID: String) async throws -> Answer {
        guard design.document["shows"]?[name] != nil else { throw Refusal.notFound("missing json key: \(name)") }
        var document: JSONObject?
        if !documentID.isEmpty, let stored = try await here.database.read(documentID), !stored.isDeleted {
            document = stored.document().fields
        }
        let response = try await here.database.views.functions.show(
            name, of: design, document: document, request: try await request(documentID.isEmpty ? nil : documentID))
        return tagged(try UpdateRoutes.answer(response, revision: nil, id: nil))
    }

    private func list(_ name: String, _ design: DesignDocument, _ place: [String]) async throws -> Answer {
        guard let source = design.document["lists"]?[name]?.stringValue else {
            throw Refusal.notFound("missing json key: \(name)")
        }
        guard let view = place.last, place.count <= 2 else { throw Refusal(404, "list_error", "Invalid path.") }
        let owner = place.count == 2 ? try await DesignRoutes.design("_design/\(place[0])", in: here.database) : design
        var options = RowOptions()
        try options.read(here.call.query)
        let result = try await here.database.views.query(design: owner, view: view, ViewRoutes.query(options))
        var head = JSONObject()
        if let total = result.totalRows { head["total_rows"] = .integer(total) }
        if let offset = result.offset { head["offset"] = .integer(offset) }
        let rows = try result.rows.map { row in
            var members = JSONObject()
            if let id = row.id { members["id"] = .string(id) }
            members["key"] = try JSON(parsing: row.key)
            members["value"] = try JSON(parsing: row.value)
            return JSON.object(members)
        }
        guard var request = try await request(nil).objectValue else { throw Refusal.notAnObject }
        request["list_head"] = .object(head)
        request["list_rows"] = .array(rows)
        // An update function gives the list function what it calls; there is nothing else that it needs.
        var wrapped = design
        wrapped.document["_id"] = .string("\(design.document.id)/_list")
        wrapped.document["updates"] = [.init(name): .string(Self.wrapper(source))]
        let update = try await here.database.views.functions
            .update(name, of: wrapped, document: nil, request: .object(request))
        return tagged(try UpdateRoutes.answer(update.response, revision: nil, id: nil))
    }

    private static func wrapper(_ source: String) -> String {
        """
        function (doc, req) {
          var head = req.list_head, rows = req.list_rows, next = 0, chunks = [], response = {};
          delete req.list_head;
          delete req.list_rows;
          function start(given) { response = given || {}; }
          function send(text) { chunks.push(String(text)); }
          function getRow() { return next < rows.length ? rows[next++] : null; }
          var tail = (\(source))(head, req);
          if (tail !== undefined && tail !== null) chunks.push(String(tail));
          var answer = { body: chunks.join('') };
          if (response.code) answer.code = response.code;
          if (response.headers) answer.headers = response.headers;
          return [null, answer];
        }
        """
    }

    private func tagged(_ answer: Answer) -> Answer {
        guard case .bytes(let bytes) = answer.body else { return answer }
        let tag = "\"\(hexadecimal(Insecure.MD5.hash(data: bytes)))\""
        return here.call.alreadyHas(tag) ? .notModified(tag) : answer.with(.eTag, tag)
    }
}
