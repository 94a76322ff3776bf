import CouchDocument

/// An index that `_find` can use: a JSON index, kept in a design document of the language `query`, or the ids themselves.
package struct MangoIndex: Sendable {
    /// The document that keeps it; `nil`: the index of all ids, which every database has.
    package let design: DesignDocument?
    package let name: String
    let columns: [FieldPath]
    /// `fields` and, if there is one, `partial_filter_selector`.
    let definition: JSONObject
    /// Whether it answers queries within one partition, and no others.
    let isPartitioned: Bool

    static let allDocuments = MangoIndex(
        design: nil, name: "_all_docs", columns: [FieldPath(names: ["_id"])], definition: ["fields": [["_id": "asc"]]],
        isPartitioned: false)

    private init(
        design: DesignDocument?, name: String, columns: [FieldPath], definition: JSONObject, isPartitioned: Bool
    ) {
        self.design = design
        self.name = name
        self.columns = columns
        self.definition = definition
        self.isPartitioned = isPartitioned
    }

    /// The index in a view of a design document; `nil` when the view is none.
    private init?(_ design: DesignDocument, name: String, view: JSON, isPartitioned: Bool) {
        guard view["options"]?.objectValue != nil, let map = view["map"], let columns = Self.columns(of: map),
            var definition = map.objectValue
        else { return nil }
        let fields = map["fields"]?.objectValue ?? [:]
        definition["fields"] = .array(fields.map { .object(JSONObject([($0.name, $0.value)])) })
        if definition["partial_filter_selector"]?.objectValue?.isEmpty == true {
            definition["partial_filter_selector"] = nil
        }
        self.init(
            design: design, name: name, columns: columns, definition: definition, isPartitioned: isPartitioned)
    }

    /// The fields of an index by its `map`; `nil` when that defines no index.
    static func columns(of map: JSON) -> [FieldPath]? {
        guard let fields = map["fields"]?.objectValue else { return nil }
        var columns: [FieldPath] = []
        for name in fields.names {
            guard let path = try? FieldPath(name) else { return nil }
            columns.append(path)
        }
        return columns
    }

    /// The indexes of a database: that of the ids first, the others in order of document and name.
    package static func all(in database: StoredDatabase) async throws -> [MangoIndex] {
        var found: [MangoIndex] = []
        for design in try await database.designDocuments() where design.document["language"] == "query" {
            let isPartitioned = design.isPartitioned(inPartitioned: database.isPartitioned)
            for (name, view) in design.document["views"]?.objectValue ?? [:] {
                guard let index = MangoIndex(design, name: name, view: view, isPartitioned: isPartitioned) else {
                    continue
                }
                found.append(index)
            }
        }
        return [allDocuments] + found.sorted(by: precedes)
    }

    static func precedes(_ left: MangoIndex, _ right: MangoIndex) -> Bool {
        func place(_ index: MangoIndex) -> [UInt8] { Array((index.designID ?? "").utf8) + [0] + Array(index.name.utf8) }
        return place(left).lexicographicallyPrecedes(place(right))
    }

    package var designID: String? { design?.document.id }
    package var type: String { design == nil ? "special" : "json" }

    func isSame(as other: MangoIndex) -> Bool { designID == other.designID && name == other.name }

    /// Only documents that this selector means are in the index; `nil`: all that have its fields.
    var partialFilter: JSON? {
        guard design != nil else { return nil }
        // The name before CouchDB 2.1 was `selector`.
        let filter = definition["partial_filter_selector"] ?? definition["selector"]
        return filter?.objectValue?.isEmpty == true ? nil : filter
    }

    /// The index as `GET _index` lists it.
    package var json: JSON {
        var members: JSONObject = [
            "ddoc": designID.map(JSON.string) ?? .null, "name": .string(name), "type": .string(type),
        ]
        if design != nil { members["partitioned"] = .bool(isPartitioned) }
        members["def"] = .object(definition)
        return .object(members)
    }
}

extension DesignDocument {
    /// Whether the rows of its views are kept by partition: as the database is, unless it says otherwise.
    func isPartitioned(inPartitioned isPartitioned: Bool) -> Bool {
        isPartitioned && document["options"]?["partitioned"] != false
    }
}
