/// A pattern for paths: `*` and `?` within one name, `[a-z]` and `[!a-z]` for one character, `**` for any number of
/// folders, `\` before a character that is to be itself.
package struct GlobPattern: Hashable, Sendable {
    private enum Part: Hashable { case any, one, literal(Character), set([ClosedRange<Character>], negated: Bool) }
    private enum Segment: Hashable { case folders, name([Part]) }

    package let text: String
    private let segments: [Segment]
    /// Whether `*`, `?` and `[` also match a dot at the beginning of a name, as in ignore files and unlike in shells.
    private let matchesHidden: Bool

    package init(_ text: String, matchesHidden: Bool = false) throws {
        guard !text.isEmpty, !text.hasPrefix("/") else {
            throw SandboxError(.illFormed, "a pattern for files is a path below the work folder, not \"\(text)\"")
        }
        self.text = text
        self.matchesHidden = matchesHidden
        segments = try text.split(separator: "/").filter { $0 != "." }.map { segment in
            if segment == ".." {
                throw SandboxError(.illFormed, "the pattern \"\(text)\" leads out of the work folder")
            }
            return segment == "**" ? .folders : .name(try Self.parts(Array(segment), of: text))
        }
    }

    private static func parts(_ characters: [Character], of text: String) throws -> [Part] {
        var parts: [Part] = []
        var index = 0
        while index < characters.count {
            let character = characters[index]
            index += 1
            switch character {
            case "*": if parts.last != .any { parts.append(.any) }
            case "?": parts.append(.one)
            case "\\" where index < characters.count:
                parts.append(.literal(characters[index]))
                index += 1
            case "[":
                let negated = index < characters.count && (characters[index] == "!" || characters[index] == "^")
                if negated { index += 1 }
                var ranges: [ClosedRange<Character>] = []
                // A bracket that comes first belongs to the set.
                while index < characters.count, characters[index] != "]" || ranges.isEmpty {
                    let low = characters[index]
                    if index + 2 < characters.count, characters[index + 1] == "-", characters[index + 2] != "]" {
                        guard low <= characters[index + 2] else {
                            throw SandboxError(.illFormed, "the pattern \"\(text)\" holds a range that runs backwards")
                        }
                        ranges.append(low...characters[index + 2])
                        index += 3
                    } else {
                        ranges.append(low...low)
                        index += 1
                    }
                }
                guard index < characters.count else {
                    throw SandboxError(.illFormed, "the pattern \"\(text)\" lacks a closing bracket")
                }
                index += 1
                parts.append(.set(ranges, negated: negated))
            default: parts.append(.literal(character))
            }
        }
        return parts
    }

    /// Whether the whole path, without a slash before it, is meant.
    package func matches(_ path: String) -> Bool {
        matches(path.split(separator: "/").map { Array($0) }[...], segments[...])
    }

    /// Whether something below that folder could be meant.
    package func mayMatch(below folder: String) -> Bool {
        var segments = segments[...]
        for name in folder.split(separator: "/") {
            guard let first = segments.first else { return false }
            switch first {
            case .folders: return true
            case .name(let parts): guard matches(Array(name), parts) else { return false }
            }
            segments = segments.dropFirst()
        }
        return !segments.isEmpty
    }

    private func matches(_ names: ArraySlice<[Character]>, _ segments: ArraySlice<Segment>) -> Bool {
        guard let first = segments.first else { return names.isEmpty }
        switch first {
        case .folders:
            let rest = segments.dropFirst()
            if matches(names, rest) { return true }
            guard let name = names.first, matchesHidden || name.first != "." else { return false }
            return matches(names.dropFirst(), segments)
        case .name(let parts):
            guard let name = names.first, matches(name, parts) else { return false }
            return matches(names.dropFirst(), segments.dropFirst())
        }
    }

    /// Linear in practice: on a mismatch only the last star moves on.
    private func matches(_ name: [Character], _ parts: [Part]) -> Bool {
        if name.first == ".", !matchesHidden, let first = parts.first, first != .literal(".") { return false }
        var (at, part) = (0, 0)
        var star: (part: Int, at: Int)?
        while at < name.count {
            if part < parts.count, parts[part] == .any {
                star = (part, at)
                part += 1
            } else if part < parts.count, matches(name[at], parts[part]) {
                at += 1
                part += 1
            } else if let last = star {
                part = last.part + 1
                at = last.at + 1
                star = (last.part, at)
            } else {
                return false
            }
        }
        return parts[part...].allSatisfy { $0 == .any }
    }

    private func matches(_ character: Character, _ part: Part) -> Bool {
        switch part {
        case .any, .one: true
        case .literal(let value): value == character
        case .set(let ranges, let negated): ranges.contains { $0.contains(character) } != negated
        }
    }
}
