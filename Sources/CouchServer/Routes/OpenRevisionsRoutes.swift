import CouchDocument
import CouchStore
import Hummingbird

/// `?open_revs=`: several revisions of a document at once.
struct OpenRevisionsRoutes: Sendable {
    let here: DatabaseCall
    let id: String
    let view: DocumentView

    func answer(_ wanted: String) async throws -> Answer {
        var selection = RevisionRequest.Selection.leaves
        if wanted != "all" {
            let json = try Query.json(wanted)
            if json == [] { return try await winner() }
            selection = .revisions(try DocumentView.revisions(json))
        }
        let request = RevisionRequest(id: id, selection: selection, latest: here.call.query.flag("latest"))
        let found = try await here.database.read([request]).first ?? []
        if found.isEmpty { throw Refusal.notFound() }
        if here.call.acceptsJSON { return try await json(found) }
        return multipart(found)
    }

    /// CouchDB answers an empty list as if none had been given.
    private func winner() async throws -> Answer {
        guard let document = try await here.database.read(id) else { throw Refusal.notFound() }
        if document.isDeleted { throw Refusal.notFound("deleted") }
        var writer = JSONWriter()
        try await view.write(document, of: here.database, to: &writer)
        writer.raw("\n")
        return Answer.json(200, written: writer.bytes).with(.eTag, "\"\(document.revision)\"")
    }

    private func json(_ found: [OpenRevision]) async throws -> Answer {
        var writer = JSONWriter()
        writer.raw("[")
        for (index, revision) in found.enumerated() {
            if index > 0 { writer.raw(",") }
            switch revision {
            case .found(let document):
                writer.raw("{\"ok\":")
                try await view.write(document, of: here.database, to: &writer)
                writer.raw("}")
            case .missing(let revision):
                writer.write(["missing": .string(revision?.description ?? "")] as JSONObject)
            }
        }
        writer.raw("]\n")
        return .json(200, written: writer.bytes)
    }

    private func multipart(_ found: [OpenRevision]) -> Answer {
        let boundary = MultipartWriter.newBoundary()
        var view = view
        view.attachments = true
        let shown = view
        let database = here.database
        return Answer(
            200, contentType: "multipart/mixed; boundary=\"\(boundary)\"",
            .stream(length: nil) { writer in
                var parts = MultipartWriter(boundary: boundary)
                for revision in found {
                    switch revision {
                    case .found(let document):
                        try await parts.document(document, view: shown, of: database, to: &writer)
                    case .missing(let revision):
                        let value: JSON = ["missing": .string(revision?.description ?? "")]
                        parts.part([("Content-Type", "application/json; error=\"true\"")], value.encoded())
                    }
                }
                parts.end()
                try await parts.flush(to: &writer)
            })
    }
}
