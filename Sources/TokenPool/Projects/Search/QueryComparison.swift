import CouchDocument

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// How a condition compares.
enum QueryComparison: Sendable {
    case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
    /// The text has a part that the expression describes.
    case matches(QueryPattern)
    case matchesNot(QueryPattern)

    func holds(_ found: JSON, _ constant: JSON) -> Bool {
        switch self {
        case .equal: Self.order(found, constant) == 0
        case .notEqual: Self.order(found, constant) != 0
        case .less: Self.order(found, constant).map { $0 < 0 } ?? false
        case .lessOrEqual: Self.order(found, constant).map { $0 <= 0 } ?? false
        case .greater: Self.order(found, constant).map { $0 > 0 } ?? false
        case .greaterOrEqual: Self.order(found, constant).map { $0 >= 0 } ?? false
        case .matches(let pattern): found.stringValue.map(pattern.matches) ?? false
        case .matchesNot(let pattern): found.stringValue.map { !pattern.matches($0) } ?? false
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

/// A regular expression of POSIX (extended), as the original's database has it.
struct QueryPattern: Sendable {
    private let text: String
    private let ignoresCase: Bool

    /// - Throws: When it is no expression.
    init(_ text: String, ignoresCase: Bool) throws {
        self.text = text
        self.ignoresCase = ignoresCase
        guard text.utf8.count <= 500, !text.utf8.contains(0), compiled({ _ in true }) != nil else {
            throw PoolError(.badInput, "search: \"\(text)\" is no regular expression")
        }
    }

    /// Whether a part of the text is what the expression describes.
    func matches(_ found: String) -> Bool {
        guard !found.utf8.contains(0) else { return false }
        return compiled { expression in
            withUnsafePointer(to: expression) { regexec($0, found, 0, nil, 0) == 0 }
        } ?? false
    }

    // Compiled for each use: the compiled form is a pointer that nobody may copy.
    private func compiled(_ use: (regex_t) -> Bool) -> Bool? {
        var expression = regex_t()
        let flags = REG_EXTENDED | REG_NOSUB | (ignoresCase ? REG_ICASE : 0)
        guard regcomp(&expression, text, flags) == 0 else { return nil }
        defer { regfree(&expression) }
        return use(expression)
    }
}
