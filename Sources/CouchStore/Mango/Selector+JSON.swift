import CouchDocument

extension Selector {
    /// The normal form as JSON, as `_explain` shows it.
    package var json: JSON {
        switch self {
        case .everything: [:]
        case .all(let parts): ["$and": .array(parts.map(\.json))]
        case .any(let parts): ["$or": .array(parts.map(\.json))]
        case .field(let path, let condition): .object(JSONObject([(path.text, condition.json)]))
        case .text(let words): ["$default": ["$text": words]]
        }
    }
}

extension Selector.Condition {
    fileprivate var json: JSON {
        switch self {
        case .compare(let comparison, let other): .object(JSONObject([(comparison.rawValue, other.value)]))
        case .exists(let wanted): ["$exists": .bool(wanted)]
        case .type(let word): ["$type": .string(word)]
        case .in(let list): ["$in": .array(list.map(\.value))]
        case .notIn(let list): ["$nin": .array(list.map(\.value))]
        case .containsAll(let list): ["$all": .array(list)]
        case .size(let count): ["$size": .integer(count)]
        case .remainder(let divisor, let rest): ["$mod": .array([divisor, rest])]
        case .regex(let expression): ["$regex": .string(expression.text)]
        case .beginsWith(let start): ["$beginsWith": .string(start)]
        case .elementMatch(let selector): ["$elemMatch": selector.json]
        case .allMatch(let selector): ["$allMatch": selector.json]
        case .keyMapMatch(let selector): ["$keyMapMatch": selector.json]
        case .not(let condition): ["$not": condition.json]
        }
    }
}
