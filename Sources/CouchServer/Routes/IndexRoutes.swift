import CouchDocument
import CouchStore

/// `/{db}/_index`: the JSON indexes of Mango queries.
struct IndexRoutes: Sendable {
    let here: DatabaseCall

    func answer() async throws -> Answer {
        let call = here.call
        var names = Array(call.path.segments.dropFirst(2))
        if names.isEmpty { return try await overview() }
        if names == ["_bulk_delete"] {
            try call.allow("POST")
            return try await deleteSeveral()
        }
        if names.first == "_design" && names.count == 4 { names.removeFirst() }
        guard names.count == 3 else { throw Refusal.notFound() }
        try call.allow("DELETE")
        let id = Self.designID(names[0])
        let index = try await MangoIndex.all(in: here.database)
            .first { $0.designID == id && $0.type == names[1] && $0.name == names[2] }
        guard let design = index?.design else { throw Refusal.notFound() }
        try await remove([names[2]], from: design)
        return .ok
    }

    private static func designID(_ name: String) -> String { name.hasPrefix("_design/") ? name : "_design/" + name }

    private func overview() async throws -> Answer {
        switch here.call.method {
        case "GET", "HEAD": return try await list()
        case "POST": return try await create()
        default: throw Refusal.methodNotAllowed("GET,POST")
        }
    }

    private func list() async throws -> Answer {
        let indexes = try await MangoIndex.all(in: here.database)
        func parameter(_ name: String, _ least: Int, _ fallback: Int) throws(Refusal) -> Int {
            guard let text = here.call.query[name] else { return fallback }
            guard let number = Int(text), number >= least else {
                throw Refusal(500, "invalid_list_index_params", "Index parameter ranges: limit > 1, skip > 0")
            }
            return number
        }
        let limit = try parameter("limit", 1, indexes.count)
        let skip = try parameter("skip", 0, 0)
        let shown = indexes.dropFirst(skip).prefix(limit).map(\.json)
        return .json(200, ["total_rows": .integer(indexes.count), "indexes": .array(shown)])
    }

    private func create() async throws -> Answer {
        // CouchDB crashes when a member makes an index.
        if !here.isDatabaseAdmin { throw Refusal(500, "unauthorized", "You are not a db or server admin.") }
        let definition = try MangoIndexDefinition(try await here.call.postedObject())
        try DocumentDraft.checkID(definition.designID)
        let stored = try await here.database.read(definition.designID)
        let current = stored.flatMap { $0.isDeleted ? nil : $0 }
        let changed = try definition.added(to: current?.document())
        if let changed { try await save(changed, over: current) }
        return .json(
            200,
            [
                "result": changed == nil ? "exists" : "created", "id": .string(definition.designID),
                "name": .string(definition.name),
            ])
    }

    private func deleteSeveral() async throws -> Answer {
        let body = try await here.call.postedObject()
        guard let ids = body["docids"]?.arrayValue, ids.allSatisfy({ $0.stringValue != nil }) else {
            throw Refusal(400, "invalid_bulk_docs", "Bulk Delete requires an array of non-null docids.")
        }
        let indexes = try await MangoIndex.all(in: here.database)
        var removed: [JSON] = []
        var failed: [JSON] = []
        for id in ids.compactMap(\.stringValue).map(Self.designID) {
            let own = indexes.filter { $0.designID == id }
            do {
                guard let design = own.first?.design else { throw Refusal.notFound() }
                try await remove(own.map(\.name), from: design)
                removed.append(["id": .string(id), "ok": true])
            } catch let refusal as Refusal {
                failed.append(["id": .string(id), "error": .string(refusal.error)])
            }
        }
        return .json(200, ["success": .array(removed), "fail": .array(failed)])
    }

    private func remove(_ names: [String], from design: DesignDocument) async throws {
        guard let stored = try await here.database.read(design.document.id) else { throw Refusal.notFound() }
        guard let changed = MangoIndex.removing(names, from: design) else {
            _ = try await DocumentWriter(here: here).save(
                Edit(id: stored.id, parent: stored.revision, isDeleted: true, body: [:]))
            return
        }
        try await save(changed, over: stored)
    }

    private func save(_ document: Document, over stored: StoredDocument?) async throws {
        let body = JSONObject(
            document.fields.filter { !$0.name.hasPrefix("_") }.map { ($0.name, $0.value) })
        let attachments = (stored?.attachments ?? []).map { EditedAttachment(name: $0.name, content: .stub) }
        _ = try await DocumentWriter(here: here).save(
            Edit(id: document.id, parent: stored?.revision, body: body, attachments: attachments))
    }
}
