import CouchDocument

/// Reads the members of a mapping by their kinds, and refuses what it does not know.
struct MappingReader {
    let place: ConfigurationPlace
    private let members: [String: YAMLValue.Member]

    /// A reader of a mapping in which only these keys may stand.
    ///
    /// - Parameter what: How errors call the mapping: `"requires"` wants a mapping.
    init(_ value: YAMLValue, what: String, known: [String]) throws {
        guard let members = value.members else {
            throw ConfigurationError(value.place, "\(what) must be a mapping, not \(value.kind)")
        }
        for member in members where !known.contains(member.key) {
            throw ConfigurationError(
                member.place, "key \"\(member.key)\" is not known here" + Spelling.hint(for: member.key, among: known))
        }
        place = value.place
        self.members = Dictionary(members.map { ($0.key, $0) }) { first, _ in first }
    }

    /// The value of a key; `nil` when the key is missing or has nothing behind it.
    subscript(key: String) -> YAMLValue? {
        guard let value = members[key]?.value, !value.isNull else { return nil }
        return value
    }

    /// Where the key stands; the mapping's place when it is missing.
    func place(of key: String) -> ConfigurationPlace { members[key]?.place ?? place }

    func text(_ key: String) throws -> String? {
        guard let value = self[key] else { return nil }
        guard let text = value.text else { throw wrong(key, "a text", value) }
        return text
    }

    func flag(_ key: String) throws -> Bool? {
        guard let value = self[key] else { return nil }
        guard let flag = value.json.boolValue else { throw wrong(key, "true or false", value) }
        return flag
    }

    func integer(_ key: String, in range: ClosedRange<Int> = Int.min...Int.max) throws -> Int? {
        guard let value = self[key] else { return nil }
        let what = range.lowerBound == Int.min ? "a whole number" : "a whole number from \(range.lowerBound) on"
        guard let number = value.json.intValue, range.contains(number) else { throw wrong(key, what, value) }
        return number
    }

    func seconds(_ key: String) throws -> Int? {
        guard let value = self[key] else { return nil }
        guard let seconds = value.text.flatMap(Quantity.seconds) else {
            throw wrong(key, "a duration such as 90s, 5m or 1h30m", value)
        }
        return seconds
    }

    func bytes(_ key: String) throws -> Int? {
        guard let value = self[key] else { return nil }
        guard let bytes = value.text.flatMap(Quantity.bytes) else {
            throw wrong(key, "a size such as 500K, 8G or 8GB", value)
        }
        return bytes
    }

    /// A list of texts; one text alone is a list of one.
    func texts(_ key: String) throws -> [YAMLValue]? {
        guard let value = self[key] else { return nil }
        if value.text != nil { return [value] }
        guard let elements = value.elements else { throw wrong(key, "a list of texts", value) }
        for element in elements where element.text == nil {
            throw ConfigurationError(
                element.place, "\"\(key)\" must be a list of texts, not with \(element.kind) in it")
        }
        return elements
    }

    func mapping(_ key: String) throws -> [YAMLValue.Member]? {
        guard let value = self[key] else { return nil }
        guard let members = value.members else { throw wrong(key, "a mapping", value) }
        return members
    }

    func wrong(_ key: String, _ wanted: String, _ value: YAMLValue) -> ConfigurationError {
        ConfigurationError(value.place, "\"\(key)\" must be \(wanted), not \(value.kind)")
    }
}
