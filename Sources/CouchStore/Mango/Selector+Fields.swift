extension Selector {
    /// All fields that the selector names, as often as it does.
    var fields: [FieldPath] {
        switch self {
        case .everything: []
        case .all(let parts), .any(let parts): parts.flatMap(\.fields)
        case .field(let path, _): [path]
        // CouchDB's name for what a text index searches without a field.
        case .text: [FieldPath(names: ["$default"])]
        }
    }

    /// Those of the fields that a matching document can lack.
    func missing(_ required: Set<FieldPath>) -> Set<FieldPath> {
        switch self {
        case .everything, .text, .field(_, .exists(false)): required
        case .all(let parts): parts.reduce(required) { $1.missing($0) }
        case .any(let parts): parts.reduce([]) { $0.union($1.missing(required)) }
        case .field(let path, _): required.subtracting([path])
        }
    }

    /// Whether the field has one value in all matching documents.
    func isConstant(_ field: FieldPath) -> Bool {
        switch self {
        case .all(let parts): parts.contains { $0.isConstant(field) }
        case .field(field, .compare(.equal, _)): true
        default: false
        }
    }

    /// The ranges of the fields that an index can narrow down, in order of the fields; those of `$or` can not.
    var ranges: [(field: FieldPath, range: FieldRange)] {
        var found: [(field: FieldPath, range: FieldRange)] = []
        collectRanges(&found)
        return found.sorted { $0.field.names.lexicographicallyPrecedes($1.field.names) }
    }

    private func collectRanges(_ found: inout [(field: FieldPath, range: FieldRange)]) {
        switch self {
        case .all(let parts): for part in parts { part.collectRanges(&found) }
        case .field(let path, let condition):
            guard let range = FieldRange(condition) else { return }
            if let known = found.firstIndex(where: { $0.field == path }) {
                found[known].range.narrow(to: range)
            } else {
                found.append((path, range))
            }
        case .everything, .any, .text: break
        }
    }
}
