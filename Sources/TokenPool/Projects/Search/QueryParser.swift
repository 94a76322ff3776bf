import CouchDocument

/// Reads a ``ProjectQuery``.
struct QueryParser {
    private let lexemes: [QueryLexeme]
    private var place = 0
    private var depth = 0
    private static let deepest = 100

    init(_ text: String) throws {
        guard text.utf8.count <= 100_000 else { throw PoolError(.badInput, "search: the question is too long") }
        lexemes = try QueryLexeme.read(text)
    }

    mutating func whole() throws -> QueryCondition {
        let condition = try anyOf()
        guard place == lexemes.count else { throw fault("this is too much") }
        return condition
    }

    private var next: QueryLexeme.Kind? { place < lexemes.count ? lexemes[place].kind : nil }
    private var afterNext: QueryLexeme.Kind? { place + 1 < lexemes.count ? lexemes[place + 1].kind : nil }

    private func fault(_ reason: String) -> PoolError {
        guard place < lexemes.count else { return PoolError(.badInput, "search: at the end: \(reason)") }
        return PoolError(.badInput, "search: at character \(lexemes[place].position + 1): \(reason)")
    }

    /// Takes a word or sign if it comes next.
    private mutating func take(_ kind: QueryLexeme.Kind) -> Bool {
        guard next == kind else { return false }
        place += 1
        return true
    }

    private mutating func expect(_ kind: QueryLexeme.Kind, _ reason: String) throws {
        if !take(kind) { throw fault(reason) }
    }

    private mutating func anyOf() throws -> QueryCondition {
        depth += 1
        defer { depth -= 1 }
        guard depth < Self.deepest else { throw fault("too many parentheses") }
        var parts = [try allOf()]
        while take(.word("or")) { parts.append(try allOf()) }
        return parts.count == 1 ? parts[0] : .any(parts)
    }

    private mutating func allOf() throws -> QueryCondition {
        var parts = [try term()]
        while take(.word("and")) { parts.append(try term()) }
        return parts.count == 1 ? parts[0] : .all(parts)
    }

    private mutating func term() throws -> QueryCondition {
        if take(.sign("!")) {
            depth += 1
            defer { depth -= 1 }
            guard depth < Self.deepest else { throw fault("too many negations") }
            return .not(try term())
        }
        if take(.sign("(")) {
            let condition = try anyOf()
            try expect(.sign(")"), "a closing parenthesis is missing")
            return condition
        }
        if case .text? = next { return try membership() }
        guard case .word(let name)? = next else { throw fault("a condition is wanted") }
        // `constant in NAME`: what follows `in` is neither a list nor a range.
        if isMembership { return try membership() }
        let operand = try operand(name)
        if case .value(let name) = operand {
            if take(.word("present")) { return .isPresent(name) }
            if next == .word("not"), afterNext == .word("present") {
                place += 2
                return .not(.isPresent(name))
            }
        }
        let isNegated = next == .word("not") && afterNext == .word("in")
        if isNegated { place += 1 }
        if take(.word("in")) {
            let condition = try range(operand)
            return isNegated ? .not(condition) : condition
        }
        if case .operation(let operation)? = next {
            place += 1
            return try comparison(operand, operation)
        }
        if case .value(let name) = operand { return .isPresent(name) }
        throw fault("a comparison is wanted")
    }

    private var isMembership: Bool {
        var place = place + 1
        if place < lexemes.count, lexemes[place].kind == .word("not") { place += 1 }
        guard place + 1 < lexemes.count, lexemes[place].kind == .word("in"),
            case .word(let word) = lexemes[place + 1].kind
        else { return false }
        return !word.contains(":") && QueryLexeme.number(word) == nil
            && !(place + 2 < lexemes.count && lexemes[place + 2].startsWithColon)
    }

    private mutating func membership() throws -> QueryCondition {
        let constant = try constant()
        let isNegated = take(.word("not"))
        try expect(.word("in"), "after a constant comes `in`")
        guard case .word(let name)? = next, QueryLexeme.isName(name) else {
            throw fault("the name of an attribute is wanted")
        }
        place += 1
        return isNegated ? .not(.contains(name, constant)) : .contains(name, constant)
    }

    private mutating func operand(_ word: String) throws -> QueryOperand {
        guard QueryLexeme.isName(word) else { throw fault("\"\(word)\" is no name") }
        place += 1
        if word == "len", take(.sign("(")) {
            guard case .word(let name)? = next, QueryLexeme.isName(name) else { throw fault("a name is wanted") }
            place += 1
            try expect(.sign(")"), "a closing parenthesis is missing")
            return .count(name)
        }
        guard take(.sign("[")) else { return .value(word) }
        let operand: QueryOperand
        switch next {
        case .word("any")?: operand = .anyElement(word)
        case .word("all")?: operand = .allElements(word)
        case .text(let key)?: operand = .member(word, key)
        case .word(let index)?:
            guard let index = Int(index) else { throw fault("a place, a key in quotes, `any` or `all` is wanted") }
            operand = .element(word, index)
        default: throw fault("a place, a key in quotes, `any` or `all` is wanted")
        }
        place += 1
        try expect(.sign("]"), "a closing bracket is missing")
        return operand
    }

    private mutating func comparison(_ operand: QueryOperand, _ operation: String) throws -> QueryCondition {
        let comparison: QueryComparison
        switch operation {
        case "<": comparison = .less
        case "<=": comparison = .lessOrEqual
        case ">": comparison = .greater
        case ">=": comparison = .greaterOrEqual
        case "=", "==": comparison = .equal
        case "!=", "!==": comparison = .notEqual
        default:
            // `~` and its kin: what comes is a text, also when it looks like a number.
            let text: String
            switch next {
            case .text(let quoted)?: text = quoted
            case .word(let word)?: text = word
            default: throw fault("a regular expression is wanted")
            }
            place += 1
            let pattern = try QueryPattern(text, ignoresCase: operation.hasSuffix("*"))
            return .compares(operand, operation.hasPrefix("!") ? .matchesNot(pattern) : .matches(pattern), .null)
        }
        return .compares(operand, comparison, try constant())
    }

    /// What comes behind `in`: a list in parentheses, or two constants with a colon between.
    private mutating func range(_ operand: QueryOperand) throws -> QueryCondition {
        if take(.sign("(")) {
            var constants = [try constant()]
            while take(.sign(",")) { constants.append(try constant()) }
            try expect(.sign(")"), "a closing parenthesis is missing")
            return .isOneOf(operand, constants)
        }
        let low: JSON
        var rest: Substring?
        switch next {
        case .text(let text)?: low = .string(text)
        case .word(let word)?:
            let parts = word.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            low = QueryLexeme.value(parts[0])
            rest = parts.count > 1 ? parts[1] : nil
        default: throw fault("a list in parentheses or a range is wanted")
        }
        place += 1
        if rest == nil {
            // The colon is the next word, or begins it.
            guard case .word(let word)? = next, word.hasPrefix(":") else { throw fault("a colon is wanted") }
            place += 1
            rest = word.dropFirst()
        }
        let high: JSON
        if let rest, !rest.isEmpty { high = QueryLexeme.value(rest) } else { high = try constant() }
        return .isBetween(operand, low, high)
    }

    private mutating func constant() throws -> JSON {
        switch next {
        case .text(let text)?:
            place += 1
            return .string(text)
        case .word(let word)?:
            place += 1
            return QueryLexeme.value(word[...])
        default: throw fault("a constant is wanted")
        }
    }
}
