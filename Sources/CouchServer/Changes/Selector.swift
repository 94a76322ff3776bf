import CouchDocument
import CouchStore

/// A Mango selector (`_changes?filter=_selector`): which documents are meant.
///
/// Values compare in view order. A field path has dots between names; `\.` is a dot in a name.
indirect enum Selector: Sendable {
    case all([Selector])
    case any([Selector])
    case none([Selector])
    case not(Selector)
    /// The value at a path fulfils the test.
    case field([String], Test)

    indirect enum Test: Sendable {
        case compare([Order], JSON)
        case notEqual(JSON)
        case exists(Bool)
        case type(String)
        case `in`([JSON])
        case notIn([JSON])
        case size(Int)
        case mod(Int, Int)
        case regex(Pattern)
        case beginsWith(String)
        case containsAll([JSON])
        case elementMatch(Selector)
        case allMatch(Selector)
        case not(Test)
        case both([Test])
    }

    enum Order: Sendable { case less, equal, greater }

    /// A regular expression; kept as text because `Regex` is no `Sendable`.
    struct Pattern: Sendable {
        let text: String
        func matches(_ value: String) -> Bool {
            guard let regex = try? Regex(text) else { return false }
            return value.firstMatch(of: regex) != nil
        }
    }

    /// Reads a selector.
    ///
    /// - Throws: 400 in CouchDB's words.
    init(_ json: JSON) throws {
        guard let object = json.objectValue else {
            throw Refusal.badRequest("Selector error: expected a JSON object")
        }
        self = .all(try object.map { try Self.read($0.name, $0.value, at: []) })
    }

    private static func list(_ name: String, _ value: JSON) throws -> [JSON] {
        guard let list = value.arrayValue else { throw bad(name, value) }
        return list
    }

    private static func bad(_ name: String, _ value: JSON) -> Refusal {
        let shown = value.stringValue.map { "<<\(JSON.string($0))>>" } ?? value.description
        return Refusal(400, "bad_request", "Bad argument for operator \(name): \(shown)")
    }

    private static func path(_ text: String) -> [String] {
        var names = [""]
        var isEscaped = false
        for character in text {
            if isEscaped {
                names[names.count - 1].append(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "." {
                names.append("")
            } else {
                names[names.count - 1].append(character)
            }
        }
        return names
    }

    private static func read(_ name: String, _ value: JSON, at path: [String]) throws -> Selector {
        switch name {
        case "$and": return .all(try list(name, value).map { try Selector(nested: $0, at: path) })
        case "$or": return .any(try list(name, value).map { try Selector(nested: $0, at: path) })
        case "$nor": return .none(try list(name, value).map { try Selector(nested: $0, at: path) })
        case "$not" where path.isEmpty: return .not(try Selector(nested: value, at: path))
        default: break
        }
        if name.hasPrefix("$") { return .field(path, try test(name, value)) }
        let inner = path + Self.path(name)
        guard let object = value.objectValue else { return .field(inner, .compare([.equal], value)) }
        if object.isEmpty { return .field(inner, .compare([.equal], value)) }
        return .all(try object.map { try read($0.name, $0.value, at: inner) })
    }

    private init(nested json: JSON, at path: [String]) throws {
        guard let object = json.objectValue else { throw Self.bad("$and", json) }
        self = .all(try object.map { try Self.read($0.name, $0.value, at: path) })
    }

    private static func test(_ name: String, _ value: JSON) throws -> Test {
        switch name {
        case "$lt": return .compare([.less], value)
        case "$lte": return .compare([.less, .equal], value)
        case "$eq": return .compare([.equal], value)
        case "$ne": return .notEqual(value)
        case "$gte": return .compare([.greater, .equal], value)
        case "$gt": return .compare([.greater], value)
        case "$exists":
            guard let flag = value.boolValue else { throw bad(name, value) }
            return .exists(flag)
        case "$type":
            guard let word = value.stringValue else { throw bad(name, value) }
            return .type(word)
        case "$in": return .in(try list(name, value))
        case "$nin": return .notIn(try list(name, value))
        case "$all": return .containsAll(try list(name, value))
        case "$size":
            guard let count = value.intValue else { throw bad(name, value) }
            return .size(count)
        case "$mod":
            guard let divisor = value[0]?.intValue, let rest = value[1]?.intValue, divisor != 0 else {
                throw bad(name, value)
            }
            return .mod(divisor, rest)
        case "$regex":
            guard let text = value.stringValue, (try? Regex(text)) != nil else { throw bad(name, value) }
            return .regex(Pattern(text: text))
        case "$beginsWith":
            guard let text = value.stringValue else { throw bad(name, value) }
            return .beginsWith(text)
        case "$elemMatch": return .elementMatch(try elements(value))
        case "$allMatch": return .allMatch(try elements(value))
        case "$not":
            guard let object = value.objectValue else { return .notEqual(value) }
            return .not(.both(try object.map { try test($0.name, $0.value) }))
        default: throw Refusal.badRequest("Invalid operator: \(name)")
        }
    }

    /// Operators about the element itself, or fields of it.
    private static func elements(_ value: JSON) throws -> Selector { try Selector(nested: value, at: []) }
}

extension Selector {
    /// Whether a value is meant.
    func matches(_ value: JSON) -> Bool {
        switch self {
        case .all(let parts): parts.allSatisfy { $0.matches(value) }
        case .any(let parts): parts.contains { $0.matches(value) }
        case .none(let parts): !parts.contains { $0.matches(value) }
        case .not(let part): !part.matches(value)
        case .field(let path, let test): test.holds(for: Self.value(at: path, in: value))
        }
    }

    private static func value(at path: [String], in value: JSON) -> JSON? {
        var found: JSON? = value
        for name in path { found = found?[name] ?? Int(name).flatMap { found?[$0] } }
        return found
    }

    /// Only these fields of a document.
    static func fields(_ names: [String], of document: JSON) -> JSON {
        var result = JSONObject()
        for name in names {
            let path = path(name)
            guard let value = value(at: path, in: document) else { continue }
            insert(value, at: path[...], into: &result)
        }
        return .object(result)
    }

    private static func insert(_ value: JSON, at path: ArraySlice<String>, into object: inout JSONObject) {
        guard let first = path.first else { return }
        if path.count == 1 {
            object[first] = value
        } else {
            var inner = object[first]?.objectValue ?? [:]
            insert(value, at: path.dropFirst(), into: &inner)
            object[first] = .object(inner)
        }
    }
}

extension Selector.Test {
    fileprivate func holds(for value: JSON?) -> Bool {
        if case .exists(let wanted) = self { return (value != nil) == wanted }
        if case .not(let test) = self { return !test.holds(for: value) }
        if case .both(let tests) = self { return tests.allSatisfy { $0.holds(for: value) } }
        guard let value else { return false }
        switch self {
        case .compare(let orders, let other): return orders.contains(Self.order(value, other))
        case .notEqual(let other): return Self.order(value, other) != .equal
        case .type(let word): return value.kind == word
        case .in(let list):
            let candidates = value.arrayValue.map { $0 + [value] } ?? [value]
            return list.contains { item in candidates.contains { Self.order($0, item) == .equal } }
        case .notIn(let list): return !list.contains { Self.order(value, $0) == .equal }
        case .size(let count): return value.arrayValue?.count == count
        case .mod(let divisor, let rest):
            return value.intValue.map { $0.remainderReportingOverflow(dividingBy: divisor).partialValue == rest }
                ?? false
        case .regex(let pattern): return value.stringValue.map(pattern.matches) ?? false
        case .beginsWith(let start):
            return value.stringValue.map { $0.utf8.starts(with: start.utf8) } ?? false
        case .containsAll(let list):
            guard let elements = value.arrayValue else { return false }
            return list.allSatisfy { item in elements.contains { Self.order($0, item) == .equal } }
        case .elementMatch(let selector): return value.arrayValue?.contains(where: selector.matches) ?? false
        case .allMatch(let selector):
            guard let elements = value.arrayValue, !elements.isEmpty else { return false }
            return elements.allSatisfy(selector.matches)
        case .exists, .not, .both: return false
        }
    }

    private static func order(_ left: JSON, _ right: JSON) -> Selector.Order {
        let left = CollationKey.bytes(for: left)
        let right = CollationKey.bytes(for: right)
        if left == right { return .equal }
        return left.lexicographicallyPrecedes(right) ? .less : .greater
    }
}
