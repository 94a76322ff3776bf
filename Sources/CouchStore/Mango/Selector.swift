import CouchDocument

/// Which documents a Mango query means, in CouchDB's normal form: fields stand at the leaves, negations have been moved
/// down to them.
///
/// Values compare in the order of views. A condition holds for no document that lacks its field, `$exists: false` excepted;
/// so does its negation (mango_selector).
package indirect enum Selector: Sendable {
    /// `{}`: every document.
    case everything
    case all([Selector])
    case any([Selector])
    case field(FieldPath, Condition)
    /// `$text`: what only a text index can tell, so that every document passes.
    case text(JSON)

    /// What a value must fulfil.
    package indirect enum Condition: Sendable {
        case compare(Comparison, Comparand)
        case exists(Bool)
        case type(String)
        case `in`([Comparand])
        case notIn([Comparand])
        case containsAll([JSON])
        case size(Int)
        case remainder(divisor: JSON, JSON)
        case regex(RegularExpression)
        case beginsWith(String)
        case elementMatch(Selector)
        case allMatch(Selector)
        case keyMapMatch(Selector)
        case not(Condition)
    }

    package enum Comparison: String, Sendable {
        case less = "$lt"
        case lessOrEqual = "$lte"
        case equal = "$eq"
        case notEqual = "$ne"
        case greaterOrEqual = "$gte"
        case greater = "$gt"

        var negated: Comparison {
            switch self {
            case .less: .greaterOrEqual
            case .lessOrEqual: .greater
            case .equal: .notEqual
            case .notEqual: .equal
            case .greaterOrEqual: .less
            case .greater: .lessOrEqual
            }
        }
    }
}

extension Selector {
    /// Whether a document is meant.
    package func matches(_ document: JSON) -> Bool {
        switch self {
        case .everything, .text: return true
        case .all(let parts): return parts.allSatisfy { $0.matches(document) }
        // CouchDB takes an empty list of alternatives for fulfilled.
        case .any(let parts): return parts.isEmpty || parts.contains { $0.matches(document) }
        case .field(let path, let condition):
            if let value = path.value(in: document) { return condition.holds(for: value) }
            if case .exists(false) = condition { return true }
            return false
        }
    }
}

extension Selector.Condition {
    /// Whether a value that is there fulfils the condition.
    fileprivate func holds(for value: JSON) -> Bool {
        switch self {
        case .compare(let comparison, let other):
            let order = other.order(of: value)
            return switch comparison {
            case .less: order < 0
            case .lessOrEqual: order <= 0
            case .equal: order == 0
            case .notEqual: order != 0
            case .greaterOrEqual: order >= 0
            case .greater: order > 0
            }
        case .exists(let wanted): return wanted
        case .type(let word): return value.kind == word
        case .in(let list): return Self.isAny(of: list, value)
        case .notIn(let list): return !Self.isAny(of: list, value)
        case .containsAll(let list):
            guard let elements = value.arrayValue, !list.isEmpty else { return false }
            return list.allSatisfy(elements.contains) || list == [value]
        case .size(let count): return value.arrayValue?.count == count
        case .remainder(let divisor, let rest):
            guard let value = value.intValue, let divisor = divisor.intValue, divisor != 0 else { return false }
            return value.remainderReportingOverflow(dividingBy: divisor).partialValue == rest.intValue
        case .regex(let expression): return value.stringValue.map(expression.matches) ?? false
        case .beginsWith(let start): return value.stringValue.map { $0.utf8.starts(with: start.utf8) } ?? false
        case .elementMatch(let selector): return value.arrayValue?.contains(where: selector.matches) ?? false
        case .allMatch(let selector):
            guard let elements = value.arrayValue, !elements.isEmpty else { return false }
            return elements.allSatisfy(selector.matches)
        case .keyMapMatch(let selector):
            return value.objectValue?.names.contains { selector.matches(.string($0)) } ?? false
        case .not(let condition): return !condition.holds(for: value)
        }
    }

    /// Of an array the elements are looked at, not the array.
    private static func isAny(of list: [Comparand], _ value: JSON) -> Bool {
        let values = value.arrayValue ?? [value]
        return list.contains { item in values.contains { item.order(of: $0) == 0 } }
    }
}
