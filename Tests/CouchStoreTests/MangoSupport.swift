import CouchDocument
import CouchStore
import Testing

extension StoredDatabase {
    /// Makes a JSON index, as `POST _index` does.
    func makeIndex(
        _ fields: [JSON], design: String, name: String = "i", filter: JSON? = nil, isPartitioned: Bool? = nil
    ) async throws {
        var index: JSONObject = ["fields": .array(fields)]
        index["partial_filter_selector"] = filter
        var body: JSONObject = ["index": .object(index), "ddoc": .string(design), "name": .string(name)]
        body["partitioned"] = isPartitioned.map(JSON.bool)
        let definition = try MangoIndexDefinition(body)
        let stored = try await read(definition.designID)
        guard let changed = try definition.added(to: stored?.document()) else { return }
        let members = JSONObject(changed.fields.filter { !$0.name.hasPrefix("_") }.map { ($0.name, $0.value) })
        try await put(definition.designID, members, after: stored?.revision)
    }

    /// Answers a query to its end.
    func find(_ query: JSONObject) async throws -> FindAnswer {
        var run = try await FindRun(try FindQuery(query), in: self)
        var documents: [JSON] = []
        while let piece = try await run.next() { documents += try piece.map { try JSON(parsing: $0) } }
        return FindAnswer(
            documents: documents, bookmark: run.bookmark, warning: run.warning, statistics: run.statistics)
    }
}

struct FindAnswer {
    let documents: [JSON]
    let bookmark: String?
    let warning: String?
    let statistics: FindRun.Statistics
    var ids: [String] { documents.compactMap { $0["_id"]?.stringValue } }
}

/// A number as it is written.
func number(_ text: String) -> JSON { (try? JSON(parsing: text)) ?? nil }
