import Synchronization

/// A regular expression (POSIX extended, with `\d`, `\w`, `\s`, `\y` as the original's database has them) that is matched in a
/// time proportional to text and expression, whatever they are: all ways through the expression are followed at once
/// (Thompson's construction), none is tried and taken back. So there are no back-references.
struct QueryPattern: Sendable {
    private let program: [PatternStep]
    private let ignoresCase: Bool

    /// - Throws: When it is no expression, or one that grows too large.
    init(_ text: String, ignoresCase: Bool) throws {
        guard text.utf8.count <= 500 else {
            throw PoolError(.badInput, "search: a regular expression has at most 500 bytes")
        }
        var parser = PatternParser(text)
        do { program = try parser.program() } catch {
            throw PoolError(.badInput, "search: \"\(text)\" is no regular expression: \(error.reason)")
        }
        self.ignoresCase = ignoresCase
    }

    /// Whether a part of the text is what the expression describes.
    ///
    /// - Throws: When the effort is spent.
    func matches(_ text: String, _ effort: QueryEffort) throws -> Bool {
        var current = PatternStates(program.count)
        var next = PatternStates(program.count)
        var before: Unicode.Scalar?
        var rest = text.unicodeScalars[...]
        var unpaid = 0
        while true {
            let after = rest.first
            // A match may begin anywhere.
            if follow(0, into: &current, between: before, and: after) { return true }
            unpaid += current.count + 1
            if unpaid > 4096 || after == nil {
                try effort.spend(unpaid)
                unpaid = 0
            }
            guard let after else { return false }
            rest = rest.dropFirst()
            let following = rest.first
            next.removeAll()
            for index in 0..<current.count {
                let place = current[index]
                guard case .one(let set) = program[place], set.contains(after, ignoringCase: ignoresCase) else {
                    continue
                }
                if follow(place + 1, into: &next, between: after, and: following) { return true }
            }
            swap(&current, &next)
            before = after
        }
    }

    /// Adds a place and all that can be reached from it without a character; `true` when the end is among them.
    private func follow(
        _ start: Int, into states: inout PatternStates, between before: Unicode.Scalar?, and after: Unicode.Scalar?
    ) -> Bool {
        var open = [start]
        while let place = open.popLast() {
            guard states.insert(place) else { continue }
            switch program[place] {
            case .one: break
            case .end: return true
            case .jump(let target): open.append(target)
            case .either(let first, let second):
                open.append(second)
                open.append(first)
            case .only(let spot): if spot.holds(between: before, and: after) { open.append(place + 1) }
            }
        }
        return false
    }
}

/// How much work a question may make in all, so that none holds up the others.
final class QueryEffort: Sendable {
    /// A step is a place in an expression looked at for a character: some nanoseconds.
    private let left = Atomic(100_000_000)

    func spend(_ steps: Int) throws {
        if left.subtract(steps, ordering: .relaxed).newValue < 0 {
            throw PoolError(.badInput, "search: this takes too long: use simpler expressions, or add conditions")
        }
    }
}

/// Places in an expression, each once, in the order in which they came.
private struct PatternStates {
    private var places: [Int] = []
    /// The index in `places`, if that agrees.
    private var index: [Int]

    init(_ count: Int) { index = Array(repeating: 0, count: count) }

    var count: Int { places.count }

    subscript(position: Int) -> Int { places[position] }

    mutating func insert(_ place: Int) -> Bool {
        let known = index[place]
        if known < places.count && places[known] == place { return false }
        index[place] = places.count
        places.append(place)
        return true
    }

    mutating func removeAll() { places.removeAll(keepingCapacity: true) }
}
