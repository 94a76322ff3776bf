import CouchDocument

/// How a condition compares.
enum QueryComparison: Sendable {
    case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
    /// The text has a part that the expression describes.
    case matches(QueryPattern)
    case matchesNot(QueryPattern)

    func holds(_ found: JSON, _ constant: JSON, _ effort: QueryEffort) throws -> Bool {
        switch self {
        case .equal: Self.order(found, constant) == 0
        case .notEqual: Self.order(found, constant) != 0
        case .less: Self.order(found, constant).map { $0 < 0 } ?? false
        case .lessOrEqual: Self.order(found, constant).map { $0 <= 0 } ?? false
        case .greater: Self.order(found, constant).map { $0 > 0 } ?? false
        case .greaterOrEqual: Self.order(found, constant).map { $0 >= 0 } ?? false
        case .matches(let pattern): try found.stringValue.map { try pattern.matches($0, effort) } ?? false
        case .matchesNot(let pattern): try found.stringValue.map { try !pattern.matches($0, effort) } ?? false
        }
    }

    /// Below, at or above zero as the first value is before, at or behind the second; `nil` for values of different kinds.
    static func order(_ left: JSON, _ right: JSON) -> Int? {
        switch (left, right) {
        case (.string(let left), .string(let right)): left == right ? 0 : left < right ? -1 : 1
        case (.bool(let left), .bool(let right)): left == right ? 0 : left ? 1 : -1
        default:
            if let left = left.numberValue, let right = right.numberValue {
                left == right ? 0 : left < right ? -1 : 1
            } else {
                nil
            }
        }
    }
}
