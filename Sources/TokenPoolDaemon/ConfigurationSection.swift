import CouchDocument
import TokenPool

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What is wrong with a configuration file, in one line: `file:line: key: what was expected`.
struct ConfigurationFault: Error, CustomStringConvertible {
    let description: String

    /// - Parameter key: With the sections above it, such as `sign_in.ldap.url`; empty for the whole file.
    init(_ place: ConfigurationPlace, _ key: String, _ expected: String) {
        let line = ConfigurationPlace(file: place.file, line: place.line)
        description = key.isEmpty ? "\(line): \(expected)" : "\(line): \(key): \(expected)"
    }
}

/// A mapping of a configuration file, read key by key. A key with nothing behind it is as good as missing.
struct ConfigurationSection: Sendable {
    /// The keys above it, with a dot behind.
    private let path: String
    private let value: YAMLValue

    /// The whole of a file.
    ///
    /// - Parameters:
    ///   - text: YAML; an empty file is an empty mapping.
    ///   - file: The name by which faults call it.
    ///   - known: The keys that may stand in it.
    static func whole(_ text: String, file: String, known: [String]) throws -> ConfigurationSection {
        let value: YAMLValue
        do { value = try YAMLValue.parse(text.isEmpty ? "{}" : text, file: file) } catch let error as ConfigurationError
        {
            throw ConfigurationFault(error.place, "", error.reason)
        }
        return try ConfigurationSection(value, path: "", known: known)
    }

    private init(_ value: YAMLValue, path: String, known: [String]) throws {
        self.path = path.isEmpty ? "" : path + "."
        self.value = value
        guard let members = value.members else {
            throw ConfigurationFault(value.place, path, "a mapping is expected, not \(value.kind)")
        }
        for member in members where !known.contains(member.key) {
            throw ConfigurationFault(
                member.place, self.path + member.key, "no such key; expected \(known.joined(separator: ", "))")
        }
    }

    /// What stands behind a key; `nil` when that is nothing.
    subscript(key: String) -> YAMLValue? { value[key].flatMap { $0.isNull ? nil : $0 } }

    /// The fault of a key.
    func fault(_ key: String, _ expected: String) -> ConfigurationFault {
        ConfigurationFault(value[key]?.place ?? value.place, path + key, expected)
    }

    /// The mapping behind a key, in which only `known` may stand.
    func section(_ key: String, known: [String]) throws -> ConfigurationSection? {
        try self[key].map { try ConfigurationSection($0, path: path + key, known: known) }
    }

    /// The list of mappings behind a key.
    func sections(_ key: String, known: [String]) throws -> [ConfigurationSection] {
        guard let value = self[key] else { return [] }
        guard let elements = value.elements else { throw fault(key, "a list is expected, not \(value.kind)") }
        return try elements.enumerated().map {
            try ConfigurationSection($1, path: "\(path)\(key)[\($0 + 1)]", known: known)
        }
    }

    func text(_ key: String) throws -> String? {
        guard let value = self[key] else { return nil }
        guard let text = value.text else { throw fault(key, "a text is expected, not \(value.kind)") }
        return text
    }

    /// A text that must be there.
    func required(_ key: String, _ expected: String) throws -> String {
        guard let text = try text(key), !text.isEmpty else { throw fault(key, "\(expected) is expected") }
        return text
    }

    /// The name of a file that is there.
    func file(_ key: String) throws -> String? {
        guard let name = try text(key) else { return nil }
        guard access(name, R_OK) == 0 else {
            throw fault(
                key, "a file is expected that can be read, not \"\(name)\": \(String(cString: strerror(errno)))")
        }
        return name
    }

    /// A list of texts; one text alone is a list of one.
    func texts(_ key: String) throws -> [String]? {
        guard let value = self[key] else { return nil }
        if let text = value.text { return [text] }
        guard let elements = value.elements else { throw fault(key, "a list of texts is expected, not \(value.kind)") }
        return try elements.map { element in
            guard let text = element.text else {
                throw ConfigurationFault(element.place, path + key, "a text is expected, not \(element.kind)")
            }
            return text
        }
    }

    func flag(_ key: String) throws -> Bool? {
        guard let value = self[key] else { return nil }
        guard let flag = value.json.boolValue else { throw fault(key, "true or false is expected, not \(value.kind)") }
        return flag
    }

    func number(_ key: String, in range: ClosedRange<Int>) throws -> Int? {
        guard let value = self[key] else { return nil }
        guard let number = value.json.intValue, range.contains(number) else {
            throw fault(
                key, "a whole number from \(range.lowerBound) to \(range.upperBound) is expected, not \(value.kind)")
        }
        return number
    }

    /// A duration in whole seconds.
    func duration(_ key: String, in range: ClosedRange<Int>) throws -> Duration? {
        guard let value = self[key] else { return nil }
        guard let seconds = value.text.flatMap(Quantity.seconds), range.contains(seconds) else {
            throw fault(
                key,
                "a duration such as 90s, 5m or 12h is expected, from \(range.lowerBound) to \(range.upperBound) seconds,"
                    + " not \(value.kind)")
        }
        return .seconds(seconds)
    }
}
