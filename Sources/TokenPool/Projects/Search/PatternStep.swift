/// One step of a regular expression that was taken apart.
enum PatternStep: Sendable {
    /// One character of a set.
    case one(PatternSet)
    /// Goes on at two places.
    case either(Int, Int)
    case jump(Int)
    /// Goes on only there.
    case only(PatternSpot)
    case end

    /// The same with its targets so much further on.
    func moved(by distance: Int) -> PatternStep {
        switch self {
        case .either(let first, let second): .either(first + distance, second + distance)
        case .jump(let target): .jump(target + distance)
        case .one, .only, .end: self
        }
    }
}

/// A place between two characters.
enum PatternSpot: Sendable {
    case start, end, wordStart, wordEnd, wordEdge, notWordEdge

    func holds(between before: Unicode.Scalar?, and after: Unicode.Scalar?) -> Bool {
        let isBehindWord = before.map(PatternSet.isWord) ?? false
        let isBeforeWord = after.map(PatternSet.isWord) ?? false
        return switch self {
        case .start: before == nil
        case .end: after == nil
        case .wordStart: !isBehindWord && isBeforeWord
        case .wordEnd: isBehindWord && !isBeforeWord
        case .wordEdge: isBehindWord != isBeforeWord
        case .notWordEdge: isBehindWord == isBeforeWord
        }
    }
}

/// Characters that may stand at one place.
struct PatternSet: Sendable {
    enum Kind: String, Sendable {
        case alpha, digit, alnum, upper, lower, space, blank, punct, print, graph, cntrl, xdigit, word
    }

    var ranges: [ClosedRange<Unicode.Scalar>] = []
    var kinds: [(kind: Kind, isNegated: Bool)] = []
    var isNegated = false

    static let any = PatternSet(isNegated: true)

    init(_ scalar: Unicode.Scalar) { ranges = [scalar...scalar] }
    init(_ kind: Kind, isNegated: Bool = false) { kinds = [(kind, isNegated)] }
    init(isNegated: Bool = false) { self.isNegated = isNegated }

    func contains(_ scalar: Unicode.Scalar, ignoringCase: Bool) -> Bool {
        var found = lists(scalar)
        if !found && ignoringCase {
            let properties = scalar.properties
            // Letters that become several by their case stay as they are.
            for other in [properties.lowercaseMapping, properties.uppercaseMapping] {
                let scalars = other.unicodeScalars
                if scalars.count == 1, let only = scalars.first, only != scalar, lists(only) { found = true }
            }
        }
        return found != isNegated
    }

    private func lists(_ scalar: Unicode.Scalar) -> Bool {
        ranges.contains { $0.contains(scalar) } || kinds.contains { Self.is(scalar, $0.kind) != $0.isNegated }
    }

    static func isWord(_ scalar: Unicode.Scalar) -> Bool { Self.is(scalar, .word) }

    private static func `is`(_ scalar: Unicode.Scalar, _ kind: Kind) -> Bool {
        let properties = scalar.properties
        switch kind {
        case .alpha: return properties.isAlphabetic
        case .digit: return ("0"..."9").contains(scalar)
        case .alnum: return properties.isAlphabetic || properties.numericType != nil
        case .word: return properties.isAlphabetic || properties.numericType != nil || scalar == "_"
        case .upper: return properties.isUppercase
        case .lower: return properties.isLowercase
        case .space: return properties.isWhitespace
        case .blank: return scalar == " " || scalar == "\t"
        case .cntrl: return properties.generalCategory == .control
        case .xdigit: return properties.isASCIIHexDigit
        case .print: return properties.generalCategory != .control && properties.generalCategory != .unassigned
        case .graph:
            return properties.generalCategory != .control && properties.generalCategory != .unassigned
                && !properties.isWhitespace
        case .punct:
            switch properties.generalCategory {
            case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
                .finalPunctuation, .otherPunctuation, .mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol:
                return true
            default: return false
            }
        }
    }
}
