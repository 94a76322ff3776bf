import CouchDocument

/// Fields with their directions, as `sort` and the definition of an index name them.
package struct FindSort: Sendable {
    let columns: [(name: String, path: FieldPath)]
    let isDescending: Bool

    static let none = FindSort(columns: [], isDescending: false)

    private init(columns: [(name: String, path: FieldPath)], isDescending: Bool) {
        self.columns = columns
        self.isDescending = isDescending
    }

    /// Reads `["a", {"b": "asc"}]`.
    ///
    /// - Throws: 400 in CouchDB's words (mango_sort).
    init(_ json: JSON) throws(StoreError) {
        guard let list = json.arrayValue else {
            throw .find("invalid_sort_json", "Sort must be an array of sort specs, not: \(ErlangText.readable(json))")
        }
        var names: [String] = []
        var directions: Set<String> = []
        for item in list {
            if let name = item.stringValue, !name.isEmpty {
                names.append(name)
                directions.insert("asc")
            } else if let member = item.objectValue, member.count == 1, let direction = member[0].value.stringValue,
                ["asc", "desc"].contains(direction)
            {
                names.append(member[0].name)
                directions.insert(direction)
            } else {
                throw .find("invalid_sort_field", "Invalid sort field: \(ErlangText.readable(item))")
            }
        }
        if directions.count > 1 {
            throw .find(
                "unsupported_mixed_sort", "Sorts currently only support a single direction for all fields.")
        }
        var columns: [(name: String, path: FieldPath)] = []
        for name in names { columns.append((name, try FieldPath(name))) }
        self.columns = columns
        isDescending = directions == ["desc"]
    }

    var fields: [FieldPath] { columns.map(\.path) }

    /// As an object, the way CouchDB keeps it.
    var json: JSONObject {
        JSONObject(columns.map { ($0.name, isDescending ? "desc" : "asc") })
    }
}
