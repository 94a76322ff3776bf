import CouchDocument

/// Between which values a field lies in the documents that match.
struct FieldRange: Sendable {
    struct Bound: Sendable {
        let comparand: Comparand
        let isIncluded: Bool

        init(_ value: JSON, isIncluded: Bool) {
            comparand = Comparand(value)
            self.isIncluded = isIncluded
        }
    }

    /// `nil`: from the lowest.
    private(set) var lower: Bound?
    /// `nil`: to the highest.
    private(set) var upper: Bound?

    /// The range that a condition allows; `nil`: an index does not help with it.
    init?(_ condition: Selector.Condition) {
        switch condition {
        case .exists: break
        case .beginsWith(let start):
            lower = Bound(.string(start), isIncluded: true)
            // The last of all strings that begin so (mango_idx_view:range).
            upper = Bound(.string(start + "\u{FFFF}"), isIncluded: true)
        case .compare(let comparison, let other):
            switch comparison {
            case .less: upper = Bound(other.value, isIncluded: false)
            case .lessOrEqual: upper = Bound(other.value, isIncluded: true)
            case .greater: lower = Bound(other.value, isIncluded: false)
            case .greaterOrEqual: lower = Bound(other.value, isIncluded: true)
            case .equal:
                lower = Bound(other.value, isIncluded: true)
                upper = lower
            case .notEqual: return nil
            }
        default: return nil
        }
    }

    /// Keeps what lies in both ranges.
    mutating func narrow(to other: FieldRange) {
        if let bound = other.lower {
            let order = lower.map { $0.comparand.order(of: bound.comparand) } ?? 1
            if order > 0 || (order == 0 && !bound.isIncluded) { lower = bound }
        }
        if let bound = other.upper {
            let order = upper.map { $0.comparand.order(of: bound.comparand) } ?? -1
            if order < 0 || (order == 0 && !bound.isIncluded) { upper = bound }
        }
    }

    /// Whether no value lies in it.
    var isEmpty: Bool {
        guard let lower, let upper else { return false }
        let order = lower.comparand.order(of: upper.comparand)
        return order < 0 || (order == 0 && !(lower.isIncluded && upper.isIncluded))
    }
}
