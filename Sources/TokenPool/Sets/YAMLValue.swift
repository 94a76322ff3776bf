import CouchDocument
import Yams

/// A value of a YAML file with the place where it stands.
package struct YAMLValue: Sendable {
    /// A key of a mapping, in the file's order.
    package struct Member: Sendable {
        package let key: String
        package let place: ConfigurationPlace
        package var value: YAMLValue
    }

    package enum Content: Sendable {
        /// The text as written, and what it stands for: a quoted scalar is always a string.
        case scalar(text: String, value: JSON)
        case list([YAMLValue])
        case mapping([Member])
    }

    package let place: ConfigurationPlace
    package var content: Content
}

extension YAMLValue {
    /// Reads the one YAML document of a text (JSON is YAML too).
    ///
    /// - Parameter file: The name by which errors call the text.
    package static func parse(_ text: String, file: String) throws -> YAMLValue {
        let top = ConfigurationPlace(file: file)
        do {
            guard let node = try Yams.compose(yaml: text) else { throw ConfigurationError(top, "the file is empty") }
            // Aliases are copies here, so a small text can stand for an enormous value.
            var budget = 2_000_000
            return try convert(node, file: file, inherited: top, budget: &budget)
        } catch let error as YamlError {
            throw ConfigurationError(error, file: file)
        }
    }

    private static func convert(
        _ node: Node, file: String, inherited: ConfigurationPlace, budget: inout Int
    ) throws -> YAMLValue {
        let place =
            node.mark.map { ConfigurationPlace(file: file, line: $0.line, column: $0.column) } ?? inherited
        budget -= 1
        guard budget > 0 else { throw ConfigurationError(place, "the file holds more than 2,000,000 values") }
        switch node {
        case .scalar(let scalar):
            let isPlain = scalar.style == .plain || scalar.style == .any
            let value: JSON = isPlain ? try plain(scalar.string, place) : .string(scalar.string)
            return YAMLValue(place: place, content: .scalar(text: scalar.string, value: value))
        case .sequence(let sequence):
            var elements: [YAMLValue] = []
            for element in sequence {
                elements.append(try convert(element, file: file, inherited: place, budget: &budget))
            }
            return YAMLValue(place: place, content: .list(elements))
        case .mapping(let mapping):
            var members: [Member] = []
            var merged: [Member] = []
            var seen: Set<String> = []
            for (key, value) in mapping {
                let keyValue = try convert(key, file: file, inherited: place, budget: &budget)
                guard let name = keyValue.text else { throw ConfigurationError(keyValue.place, "a key must be a text") }
                let value = try convert(value, file: file, inherited: keyValue.place, budget: &budget)
                if name == "<<" {
                    merged += try value.mergeMembers()
                    continue
                }
                guard seen.insert(name).inserted else {
                    throw ConfigurationError(keyValue.place, "key \"\(name)\" appears twice")
                }
                members.append(Member(key: name, place: keyValue.place, value: value))
            }
            for member in merged where seen.insert(member.key).inserted { members.append(member) }
            return YAMLValue(place: place, content: .mapping(members))
        case .alias:
            throw ConfigurationError(place, "an alias (*name) without its anchor (&name)")
        }
    }

    /// What `<<:` brings: the members of a mapping, or of several, the first of a name winning.
    private func mergeMembers() throws -> [Member] {
        switch content {
        case .mapping(let members): return members
        case .list(let values): return try values.flatMap { try $0.mergeMembers() }
        case .scalar: throw ConfigurationError(place, "\"<<\" wants a mapping")
        }
    }

    /// A scalar without quotes, by YAML 1.2's core schema: `yes` and `on` are texts, `0o17` and `0x1F` integers.
    private static func plain(_ text: String, _ place: ConfigurationPlace) throws -> JSON {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return true
        case "false", "False", "FALSE": return false
        default: break
        }
        guard let first = text.utf8.first, (0x30...0x39).contains(first) || "+-.".utf8.contains(first) else {
            return .string(text)
        }
        let unsigned = text.drop { $0 == "+" || $0 == "-" }
        if text.count - unsigned.count <= 1 {
            if unsigned.hasPrefix("0x"), let number = Int(unsigned.dropFirst(2), radix: 16) { return .integer(number) }
            if unsigned.hasPrefix("0o"), let number = Int(unsigned.dropFirst(2), radix: 8) { return .integer(number) }
            if let number = Int(text) { return .integer(number) }
            let digits = unsigned.utf8
            if digits.contains(where: { (0x30...0x39).contains($0) }),
                digits.allSatisfy({ (0x30...0x39).contains($0) || ".eE+-".utf8.contains($0) }),
                let number = Double(text),
                let json = JSON.double(number)
            {
                // An integer beyond 64 bits keeps its digits.
                if digits.allSatisfy({ (0x30...0x39).contains($0) }) {
                    let sign = text.hasPrefix("-") ? "-" : ""
                    let stripped = unsigned.drop { $0 == "0" }
                    return (try? JSON(parsing: sign + stripped)) ?? .string(text)
                }
                return json
            }
            if [".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"].contains(unsigned) {
                throw ConfigurationError(place, "JSON has no number \(text); quote it to make it a text")
            }
        }
        return .string(text)
    }
}

extension YAMLValue {
    /// The text of a scalar as written, whatever it stands for: `010` is `"010"`. `nil` for lists and mappings.
    package var text: String? {
        if case .scalar(let text, _) = content { text } else { nil }
    }

    /// The members, if this is a mapping.
    package var members: [Member]? {
        if case .mapping(let members) = content { members } else { nil }
    }

    /// The elements, if this is a list.
    package var elements: [YAMLValue]? {
        if case .list(let elements) = content { elements } else { nil }
    }

    /// The member of that key.
    package subscript(key: String) -> YAMLValue? { members?.first { $0.key == key }?.value }

    /// Whether there is nothing behind the key.
    package var isNull: Bool {
        if case .scalar(_, .null) = content { true } else { false }
    }

    /// The value as JSON.
    package var json: JSON {
        switch content {
        case .scalar(_, let value): value
        case .list(let elements): .array(elements.map(\.json))
        case .mapping(let members): .object(JSONObject(members.map { ($0.key, $0.value.json) }))
        }
    }

    /// What people call this kind of value.
    package var kind: String {
        switch content {
        case .mapping: "a mapping"
        case .list: "a list"
        case .scalar(_, .null): "nothing"
        case .scalar(_, .bool(let flag)): flag ? "true" : "false"
        case .scalar(let text, .string): "the text \"\(text.count > 40 ? text.prefix(37) + "…" : text[...])\""
        case .scalar(let text, _): "the number \(text)"
        }
    }
}

extension ConfigurationError {
    /// The first line of what the YAML reader says, at its place.
    init(_ error: YamlError, file: String) {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            self.init(
                ConfigurationPlace(file: file, line: mark.line, column: mark.column), "this is no YAML: \(problem)")
        case .duplicatedKeysInMapping(let duplicates, let context):
            self.init(
                ConfigurationPlace(file: file, line: context.mark.line, column: context.mark.column),
                "key \"\(duplicates.first ?? "")\" appears twice")
        case .reader(let problem, _, _, _): self.init(ConfigurationPlace(file: file), "this is no YAML: \(problem)")
        default: self.init(ConfigurationPlace(file: file), "this is no YAML: \(error)")
        }
    }
}
