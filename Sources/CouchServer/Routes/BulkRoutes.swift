import CouchDocument
import CouchStore
import HTTPTypes
import Hummingbird

/// `_bulk_docs` and `_bulk_get`: many documents in one request.
struct BulkRoutes: Sendable {
    let here: DatabaseCall

    func answer() async throws -> Answer {
        try here.call.allow("POST")
        return here.call.path.segments[1] == "_bulk_docs" ? try await write() : try await read()
    }

    // MARK: Writing

    private func write() async throws -> Answer {
        let limit = here.call.documentLimit(here.service.settings.limits.documentSize)
        var drafts = try await BulkDrafts.read(here.call, limit: limit)
        let body = drafts.members
        guard let docs = body["docs"] else {
            throw Refusal.badRequest("POST body must include `docs` parameter.")
        }
        guard let list = docs.arrayValue else { throw Refusal.badRequest("`docs` parameter must be an array.") }
        var isReplicated = false
        if let value = body["new_edits"] {
            guard let flag = value.boolValue else {
                throw Refusal.badRequest("`new_edits` parameter must be a boolean.")
            }
            isReplicated = !flag
        }
        if let refusal = drafts.refusal {
            _ = try drafts.takeEdits(isReplicated: isReplicated, newID: here.service.uuids.next)
            throw refusal
        }
        // Behind a name that is written with escapes.
        try drafts.add(list, limit: limit)
        var edits = try drafts.takeEdits(isReplicated: isReplicated, newID: here.service.uuids.next)
        if isReplicated {
            // As CouchDB does: changes come to the sequence log in order of id.
            edits.sort { $0.id.utf8.lexicographicallyPrecedes($1.id.utf8) }
        } else {
            try await checkStubs(edits)
        }
        if body["all_or_nothing"] == true {
            let rows: [JSON] = edits.map {
                [
                    "id": .string($0.id), "error": "not_implemented",
                    "reason": "all_or_nothing is not supported",
                ]
            }
            return .json(417, .array(rows))
        }
        var rows = JSONWriter()
        rows.reserve(edits.count * 80)
        rows.raw("[")
        try await DocumentWriter(here: here).save(edits) { edits, outcomes in
            Self.write(edits, outcomes, isReplicated: isReplicated, to: &rows)
        }
        rows.raw("]\n")
        return .json(201, written: rows.take())
    }

    /// A stub without an attachment behind it refuses the whole request.
    private func checkStubs(_ edits: [Edit]) async throws {
        for edit in edits where !edit.attachments.isEmpty {
            let stubs = edit.attachments.filter { if case .stub = $0.content { true } else { false } }
            guard let first = stubs.first, case .follows(let parent) = edit.lineage else { continue }
            let names: [String]
            if let parent, let document = try await here.database.read(edit.id, revision: parent) {
                names = document.attachments.map(\.name)
            } else if parent != nil, try await here.database.read(edit.id) != nil {
                continue  // A conflict, which the writer tells.
            } else {
                names = []
            }
            let missing = parent == nil ? first : stubs.first { stub in !names.contains(stub.name) }
            if let missing {
                throw Refusal(412, "missing_stub", "Invalid attachment stub in \(edit.id) for \(missing.name)")
            }
        }
    }

    private static func write(
        _ edits: ArraySlice<Edit>, _ outcomes: [WriteOutcome], isReplicated: Bool, to writer: inout JSONWriter
    ) {
        var isFirst = writer.bytes.count == 1
        for (edit, outcome) in zip(edits, outcomes) {
            switch outcome {
            case .saved where isReplicated: continue
            case .saved(let revision):
                writer.raw(isFirst ? "{\"ok\":true,\"id\":" : ",{\"ok\":true,\"id\":")
                writer.write(edit.id)
                writer.raw(",\"rev\":")
                writer.write(revision)
                writer.raw("}")
            case .refused(let refusal):
                writer.raw(isFirst ? "" : ",")
                var row: JSONObject = ["id": .string(edit.id)]
                if isReplicated, case .replicated(let revisions) = edit.lineage, let revision = revisions.first {
                    row["rev"] = .string(revision.description)
                }
                row["error"] = .string(refusal.error)
                row["reason"] = .string(refusal.reason)
                writer.write(row)
            }
            isFirst = false
        }
    }

    // MARK: Reading

    /// One document that is asked for, or why it can not be.
    private enum Wish {
        case request(RevisionRequest, DocumentView, asked: JSON)
        case fault(id: JSON, revision: JSON, Refusal)
    }

    private func read() async throws -> Answer {
        let body = try await here.call.postedObject()
        guard let docs = body["docs"] else { throw Refusal.badRequest("Missing JSON list of 'docs'.") }
        guard let list = docs.arrayValue else { throw Refusal(500, "bad_request", "`docs` must be a list") }
        let view = try DocumentView(here.call.query)
        let wishes = try list.map { try wish($0, view) }
        let accept = here.call.headers[.accept] ?? ""
        if accept.hasPrefix("multipart/") { return try await multipart(wishes, related: accept.contains("related")) }
        let here = here
        return .json(200) { writer in
            var rows = RowWriter()
            rows.text.raw("{\"results\":[")
            for wish in wishes {
                rows.beginRow()
                try await Self.write(wish, here, to: &rows.text)
                if rows.isFull { try await rows.flush(to: &writer) }
            }
            rows.text.raw("]}\n")
            try await rows.flush(to: &writer)
        }
    }

    private func wish(_ item: JSON, _ view: DocumentView) throws -> Wish {
        let asked = item["rev"] ?? .null
        guard item.objectValue != nil, let id = item["id"] else {
            return .fault(id: .null, revision: .null, .badRequest("document must be a JSON object"))
        }
        guard let text = id.stringValue else { throw Refusal(500, "bad_request", "`id` must be a string") }
        do throws(Refusal) {
            try DocumentDraft.checkID(text)
            var view = view
            if let since = item["atts_since"] {
                // The replicator names what it has, and wants the rest whatever `attachments` says.
                view.attachmentsSince = try DocumentView.revisions(since)
                view.attachments = view.attachments || since != []
            }
            var selection = RevisionRequest.Selection.winner
            if let rev = asked.stringValue { selection = .revisions([try DocumentDraft.revision(rev)]) }
            let request = RevisionRequest(id: text, selection: selection, latest: here.call.query.flag("latest"))
            return .request(request, view, asked: asked)
        } catch {
            return .fault(id: id, revision: asked, error)
        }
    }

    private static func write(_ wish: Wish, _ here: DatabaseCall, to writer: inout JSONWriter) async throws {
        func error(_ id: JSON, _ revision: JSON, _ refusal: Refusal) -> JSON {
            [
                "error": [
                    "id": id, "rev": revision, "error": .string(refusal.error), "reason": .string(refusal.reason),
                ]
            ]
        }
        switch wish {
        case .fault(let id, let revision, let refusal):
            writer.write(["id": id, "docs": [error(id, revision, refusal)]] as JSONObject)
        case .request(let request, let view, let asked):
            writer.raw("{\"id\":")
            writer.write(request.id)
            writer.raw(",\"docs\":[")
            var isFirst = true
            for found in try await here.database.read([request]).first ?? [] {
                if !isFirst { writer.raw(",") }
                isFirst = false
                switch found {
                case .found(let document):
                    writer.raw("{\"ok\":")
                    try await view.write(document, of: here.database, to: &writer)
                    writer.raw("}")
                case .missing:
                    writer.write(error(.string(request.id), asked.isNull ? "undefined" : asked, .notFound()))
                }
            }
            writer.raw("]}")
        }
    }

    private func multipart(_ wishes: [Wish], related: Bool) async throws -> Answer {
        let here = here
        let boundary = MultipartWriter.newBoundary()
        return Answer(
            200, contentType: "multipart/\(related ? "related" : "mixed"); boundary=\"\(boundary)\"",
            .stream(length: nil) { writer in
                var parts = MultipartWriter(boundary: boundary)
                for wish in wishes {
                    switch wish {
                    case .fault(let id, let revision, let refusal):
                        let value: JSON = [
                            "id": id, "rev": revision, "error": .string(refusal.error),
                            "reason": .string(refusal.reason),
                        ]
                        parts.part([("Content-Type", "application/json; error=\"true\"")], value.encoded())
                    case .request(let request, let view, let asked):
                        for found in try await here.database.read([request]).first ?? [] {
                            switch found {
                            case .found(let document):
                                try await parts.document(document, view: view, of: here.database, to: &writer)
                            case .missing:
                                let value: JSON = [
                                    "id": .string(request.id), "rev": asked.isNull ? "undefined" : asked,
                                    "error": "not_found", "reason": "missing",
                                ]
                                parts.part([("Content-Type", "application/json; error=\"true\"")], value.encoded())
                            }
                        }
                    }
                    try await parts.flush(to: &writer)
                }
                parts.end()
                try await parts.flush(to: &writer)
            })
    }
}
