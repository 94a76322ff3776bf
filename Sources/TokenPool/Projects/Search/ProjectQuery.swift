import CouchDocument

/// A question that is asked of projects, in Data Dispatcher's search language.
///
/// Conditions are joined by `and`, `or` (`and` binds tighter), `!` and parentheses. A condition compares a property of the
/// project (`owner`, `state`, `id`, `query`, `created_timestamp`, `ended_timestamp`, `worker_timeout`, `idle_timeout`) or one
/// of its attributes with a constant: `n > 6`, `s ~ "^a"`, `n in 1:9`, `s not in (a, b)`, `"b" in s`, `f present`,
/// `list[any] = 3`, `list[0] = 1`, `map["key"] = x`, `len(list) > 2`.
///
/// What is not there fulfils no comparison; what is of another kind only `!=`. Properties win over
/// attributes of the same name.
public struct ProjectQuery: Sendable {
    private let condition: QueryCondition
    private let effort = QueryEffort()

    /// Reads a question.
    ///
    /// - Throws: ``PoolError/Code/badInput`` with the place where it can not be understood.
    public init(_ text: String) throws {
        var parser = try QueryParser(text)
        condition = try parser.whole()
    }

    /// Whether the project fulfils it.
    ///
    /// - Throws: ``PoolError/Code/badInput`` when regular expressions take too long, in all projects that were asked about.
    public func matches(_ project: Project) throws -> Bool {
        try condition.holds(effort) { name in Self.property(name, of: project) ?? project.attributes[name] }
    }

    private static func property(_ name: String, of project: Project) -> JSON? {
        switch name {
        case "owner": .string(project.owner)
        case "state": .string(project.state.rawValue)
        case "id": .integer(project.number)
        case "query": project.document["query"] ?? .null
        case "created_timestamp", "created": project.created.json
        case "ended_timestamp", "ended": project.ended?.json ?? .null
        case "worker_timeout": project.document["worker_timeout"] ?? .null
        case "idle_timeout": project.document["idle_timeout"] ?? .null
        default: nil
        }
    }
}

/// A condition of a ``ProjectQuery``.
indirect enum QueryCondition: Sendable {
    case all([QueryCondition])
    case any([QueryCondition])
    case not(QueryCondition)
    case compares(QueryOperand, QueryComparison, JSON)
    case isBetween(QueryOperand, JSON, JSON)
    case isOneOf(QueryOperand, [JSON])
    case isPresent(String)
    case contains(String, JSON)

    func holds(_ effort: QueryEffort, _ value: (String) -> JSON?) throws -> Bool {
        switch self {
        case .all(let parts): try parts.allSatisfy { try $0.holds(effort, value) }
        case .any(let parts): try parts.contains { try $0.holds(effort, value) }
        case .not(let part): try !part.holds(effort, value)
        case .compares(let operand, let comparison, let constant):
            try operand.holds(value) { try comparison.holds($0, constant, effort) }
        case .isBetween(let operand, let low, let high):
            operand.holds(value) {
                QueryComparison.order($0, low).map { $0 >= 0 } ?? false
                    && QueryComparison.order($0, high).map { $0 <= 0 } ?? false
            }
        case .isOneOf(let operand, let constants):
            operand.holds(value) { found in constants.contains { QueryComparison.order(found, $0) == 0 } }
        case .isPresent(let name): value(name).map { !$0.isNull } ?? false
        case .contains(let name, let constant):
            switch value(name) {
            case .array(let elements)?: elements.contains { QueryComparison.order($0, constant) == 0 }
            case .string(let text)?: constant.stringValue.map { text.contains($0) } ?? false
            case .object(let members)?: constant.stringValue.map { members[$0] != nil } ?? false
            default: false
            }
        }
    }
}

/// What a condition looks at.
enum QueryOperand: Sendable {
    case value(String)
    case anyElement(String)
    case allElements(String)
    case element(String, Int)
    case member(String, String)
    case count(String)

    /// Whether what is there fulfils a test. Nothing does when there is nothing.
    func holds(_ value: (String) -> JSON?, _ test: (JSON) throws -> Bool) rethrows -> Bool {
        switch self {
        case .value(let name): return try value(name).map(test) ?? false
        case .anyElement(let name): return try value(name)?.arrayValue?.contains(where: test) ?? false
        case .allElements(let name): return try value(name)?.arrayValue?.allSatisfy(test) ?? false
        case .element(let name, let index):
            guard let elements = value(name)?.arrayValue else { return false }
            // From the end when negative.
            let place = index < 0 ? elements.count + index : index
            return try elements.indices.contains(place) && test(elements[place])
        case .member(let name, let key): return try value(name)?[key].map(test) ?? false
        case .count(let name):
            switch value(name) {
            case .array(let elements)?: return try test(.integer(elements.count))
            case .string(let text)?: return try test(.integer(text.count))
            case .object(let members)?: return try test(.integer(members.count))
            default: return false
            }
        }
    }
}
