/// Takes a regular expression apart.
struct PatternParser {
    struct Fault: Error { let reason: String }

    private let text: [Unicode.Scalar]
    private var place = 0
    private var depth = 0
    private static let deepest = 50
    /// Steps; `{m,n}` are as many copies.
    private static let longest = 2000
    private static let mostCopies = 255

    init(_ text: String) { self.text = Array(text.unicodeScalars) }

    /// The whole expression.
    mutating func program() throws(Fault) -> [PatternStep] {
        let steps = try alternatives()
        guard place == text.count else { throw Fault(reason: "a parenthesis closes what was not opened") }
        return steps + [.end]
    }

    private var next: Unicode.Scalar? { place < text.count ? text[place] : nil }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard next == scalar else { return false }
        place += 1
        return true
    }

    private static func checked(_ steps: [PatternStep]) throws(Fault) -> [PatternStep] {
        if steps.count > longest { throw Fault(reason: "it is too large") }
        return steps
    }

    private mutating func alternatives() throws(Fault) -> [PatternStep] {
        depth += 1
        defer { depth -= 1 }
        if depth > Self.deepest { throw Fault(reason: "too many parentheses") }
        var steps = try branch()
        while take("|") {
            let other = try branch()
            steps =
                [.either(1, steps.count + 2)] + steps.map { $0.moved(by: 1) } + [.jump(steps.count + 2 + other.count)]
                + other.map { $0.moved(by: steps.count + 2) }
            steps = try Self.checked(steps)
        }
        return steps
    }

    private mutating func branch() throws(Fault) -> [PatternStep] {
        var steps: [PatternStep] = []
        while let scalar = next, scalar != "|", scalar != ")" {
            var piece = try atom()
            while let (least, most) = try count() { piece = try Self.repeated(piece, least, most) }
            steps = try Self.checked(steps + piece.map { $0.moved(by: steps.count) })
        }
        return steps
    }

    private static func repeated(_ piece: [PatternStep], _ least: Int, _ most: Int?) throws(Fault) -> [PatternStep] {
        if piece.count * max(least, most ?? 1) > longest { throw Fault(reason: "it is too large") }
        var steps: [PatternStep] = []
        for _ in 0..<least { steps += piece.map { $0.moved(by: steps.count) } }
        guard let most else {
            // Any number more: over and over, or on.
            steps.append(.either(steps.count + 1, steps.count + piece.count + 2))
            let start = steps.count
            return try checked(steps + piece.map { $0.moved(by: start) } + [.jump(start - 1)])
        }
        let end = steps.count + (most - least) * (piece.count + 1)
        for _ in least..<max(least, most) {
            steps.append(.either(steps.count + 1, end))
            steps += piece.map { $0.moved(by: steps.count) }
        }
        return try checked(steps)
    }

    /// `*`, `+`, `?`, `{3}`, `{3,}`, `{3,5}`. A brace before anything but a digit is itself. A `?` behind, which changes what is
    /// matched but not whether, is let pass.
    private mutating func count() throws(Fault) -> (Int, Int?)? {
        let range: (Int, Int?)
        if take("*") {
            range = (0, nil)
        } else if take("+") {
            range = (1, nil)
        } else if take("?") {
            range = (0, 1)
        } else if next == "{", place + 1 < text.count, ("0"..."9").contains(text[place + 1]) {
            place += 1
            let least = try number()
            var most: Int? = least
            if take(",") { most = next == "}" ? nil : try number() }
            guard take("}"), most.map({ $0 >= least }) ?? true else { throw Fault(reason: "{m,n} is wrong") }
            range = (least, most)
        } else {
            return nil
        }
        _ = take("?")
        return range
    }

    private mutating func number() throws(Fault) -> Int {
        var number = 0
        let start = place
        while let scalar = next, ("0"..."9").contains(scalar), number <= Self.mostCopies {
            number = number * 10 + Int(scalar.value - 48)
            place += 1
        }
        guard place > start, number <= Self.mostCopies else {
            throw Fault(reason: "{m,n} wants numbers up to \(Self.mostCopies)")
        }
        return number
    }

    private mutating func atom() throws(Fault) -> [PatternStep] {
        guard let scalar = next else { return [] }
        place += 1
        switch scalar {
        case "(":
            if next == "?" {
                place += 1
                guard take(":") else { throw Fault(reason: "(? is followed by : only") }
            }
            let steps = try alternatives()
            guard take(")") else { throw Fault(reason: "a closing parenthesis is missing") }
            return steps
        case ".": return [.one(.any)]
        case "^": return [.only(.start)]
        case "$": return [.only(.end)]
        case "[": return [.one(try set())]
        case "*", "+", "?": throw Fault(reason: "there is nothing for \(scalar) to repeat")
        case "\\": return [try escaped()]
        default: return [.one(PatternSet(scalar))]
        }
    }

    private mutating func escaped() throws(Fault) -> PatternStep {
        guard let scalar = next else { throw Fault(reason: "a backslash stands at the end") }
        place += 1
        switch scalar {
        case "y", "b": return .only(.wordEdge)
        case "Y", "B": return .only(.notWordEdge)
        case "m", "<": return .only(.wordStart)
        case "M", ">": return .only(.wordEnd)
        case "A": return .only(.start)
        case "Z": return .only(.end)
        default: return .one(try Self.escapedSet(scalar))
        }
    }

    private static func escapedSet(_ scalar: Unicode.Scalar) throws(Fault) -> PatternSet {
        switch scalar {
        case "d": PatternSet(.digit)
        case "D": PatternSet(.digit, isNegated: true)
        case "w": PatternSet(.word)
        case "W": PatternSet(.word, isNegated: true)
        case "s": PatternSet(.space)
        case "S": PatternSet(.space, isNegated: true)
        case "n": PatternSet("\n")
        case "r": PatternSet("\r")
        case "t": PatternSet("\t")
        case "0"..."9": throw Fault(reason: "there are no references to what was matched before")
        case "a"..."z", "A"..."Z": throw Fault(reason: "\\\(scalar) has no meaning")
        default: PatternSet(scalar)
        }
    }

    /// What stands between brackets.
    private mutating func set() throws(Fault) -> PatternSet {
        var set = PatternSet(isNegated: take("^"))
        var isFirst = true
        while let scalar = next, isFirst || scalar != "]" {
            isFirst = false
            place += 1
            if scalar == "[", next == ":" {
                set.kinds.append((try kind(), false))
                continue
            }
            var low = scalar
            if scalar == "\\" {
                guard let sign = next else { throw Fault(reason: "a closing bracket is missing") }
                place += 1
                let meant = try Self.escapedSet(sign)
                guard meant.kinds.isEmpty, let only = meant.ranges.first else {
                    set.kinds += meant.kinds
                    continue
                }
                low = only.lowerBound
            }
            guard next == "-", place + 1 < text.count, text[place + 1] != "]" else {
                set.ranges.append(low...low)
                continue
            }
            let high = text[place + 1]
            place += 2
            guard high != "[", high != "\\", low <= high else { throw Fault(reason: "a range in brackets is wrong") }
            set.ranges.append(low...high)
        }
        guard take("]") else { throw Fault(reason: "a closing bracket is missing") }
        return set
    }

    /// `[:alpha:]` behind its first bracket.
    private mutating func kind() throws(Fault) -> PatternSet.Kind {
        place += 1
        var name = ""
        while let scalar = next, ("a"..."z").contains(scalar) {
            name.unicodeScalars.append(scalar)
            place += 1
        }
        guard let kind = PatternSet.Kind(rawValue: name), take(":"), take("]") else {
            throw Fault(reason: "[:\(name) is no kind of characters")
        }
        return kind
    }
}
