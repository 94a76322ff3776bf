import CouchDocument

extension Selector {
    /// Reads a selector and brings it into its normal form.
    ///
    /// - Throws: 400 in CouchDB's words (mango_selector:normalize).
    package init(_ json: JSON) throws(StoreError) {
        guard case .object(let members) = json else {
            throw .find("invalid_selector_json", "Selector must be a JSON object, not: \(ErlangText.plain(json))")
        }
        if members.isEmpty {
            self = .everything
            return
        }
        self = try Self.read(json, at: FieldPath(), negated: false)
        if case .field(let path, _) = self, path.names.isEmpty {
            throw .find("invalid_selector", "One or more conditions is missing a field name.")
        }
    }

    /// Reads what must hold of the value at a path.
    private static func read(_ json: JSON, at path: FieldPath, negated: Bool) throws(StoreError) -> Selector {
        guard case .object(let members) = json, let first = members.first else {
            return .field(path, .compare(negated ? .notEqual : .equal, Comparand(json)))
        }
        if members.count == 1 { return try read(first.name, first.value, at: path, negated: negated) }
        var parts: [Selector] = []
        for (name, value) in members { parts.append(try read(name, value, at: path, negated: negated)) }
        return negated ? .any(parts) : .all(parts)
    }

    private static func read(_ name: String, _ value: JSON, at path: FieldPath, negated: Bool) throws(StoreError)
        -> Selector
    {
        switch name {
        case "$and", "$or", "$nor":
            guard let list = value.arrayValue else { throw badArgument(name, value) }
            // By De Morgan: not (a and b) is (not a or not b).
            let isNor = name == "$nor"
            var parts: [Selector] = []
            for item in list { parts.append(try read(item, at: path, negated: negated != isNor)) }
            return (name == "$and" || isNor) != negated ? .all(parts) : .any(parts)
        case "$not":
            guard value.objectValue != nil else { throw badArgument(name, value) }
            return try read(value, at: path, negated: !negated)
        case "$text":
            guard ["string", "number", "boolean"].contains(value.kind) else { throw badArgument(name, value) }
            if negated || !path.names.isEmpty {
                throw badArgument("$not", ["$default": ["$text": value]])
            }
            return .text(value)
        case _ where name.hasPrefix("$"):
            let condition = try Condition(name, value)
            return .field(path, negated ? condition.negated : condition)
        default: return try read(value, at: path + FieldPath(name), negated: negated)
        }
    }

    fileprivate static func badArgument(_ name: String, _ value: JSON) -> StoreError {
        .find("bad_arg", "Bad argument for operator \(name): \(ErlangText.plain(value))")
    }

    /// A selector for elements of a list, whose conditions can be about the element itself.
    fileprivate init(elements json: JSON, operator name: String) throws(StoreError) {
        guard json.objectValue != nil else { throw Self.badArgument(name, json) }
        self = try Self.read(json, at: FieldPath(), negated: false)
    }
}

extension Selector.Condition {
    fileprivate init(_ name: String, _ value: JSON) throws(StoreError) {
        if let comparison = Selector.Comparison(rawValue: name) {
            self = .compare(comparison, Comparand(value))
            return
        }
        switch (name, value) {
        case ("$exists", .bool(let flag)): self = .exists(flag)
        case ("$type", .string(let word)): self = .type(word)
        case ("$in", .array(let list)): self = .in(list.map(Comparand.init))
        case ("$nin", .array(let list)): self = .notIn(list.map(Comparand.init))
        case ("$all", .array(let list)): self = .containsAll(list)
        case ("$size", .integer(let count)) where count >= 0: self = .size(count)
        case ("$mod", .array(let pair)) where pair.count == 2 && pair.allSatisfy(\.isWhole):
            self = .remainder(divisor: pair[0], pair[1])
        case ("$regex", .string(let text)):
            guard let expression = RegularExpression(text) else { throw Selector.badArgument(name, value) }
            self = .regex(expression)
        case ("$beginsWith", .string(let text)): self = .beginsWith(text)
        case ("$elemMatch", _): self = .elementMatch(try Selector(elements: value, operator: name))
        case ("$allMatch", _): self = .allMatch(try Selector(elements: value, operator: name))
        case ("$keyMapMatch", _): self = .keyMapMatch(try Selector(elements: value, operator: name))
        case ("$exists", _), ("$type", _), ("$in", _), ("$nin", _), ("$all", _), ("$size", _), ("$mod", _),
            ("$regex", _):
            throw Selector.badArgument(name, value)
        case ("$where", _), ("$geoWithin", _), ("$geoIntersects", _), ("$near", _), ("$nearSphere", _):
            throw .find("not_supported", "Unsupported operator: \(name)")
        default: throw .find("invalid_operator", "Invalid operator: \(name)")
        }
    }

    fileprivate var negated: Selector.Condition {
        switch self {
        case .compare(let comparison, let other): .compare(comparison.negated, other)
        case .in(let list): .notIn(list)
        case .notIn(let list): .in(list)
        case .exists(let wanted): .exists(!wanted)
        default: .not(self)
        }
    }
}

extension JSON {
    /// Whether this is an integer, of whatever size.
    fileprivate var isWhole: Bool {
        switch self {
        case .integer: true
        case .decimal(let number): number.isInteger
        default: false
        }
    }
}
