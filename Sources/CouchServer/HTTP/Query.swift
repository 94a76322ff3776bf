import CouchDocument

/// The parameters of a query string (or of a form), in order. Of a repeated name the last value counts.
package struct Query: Sendable {
    package private(set) var items: [(name: String, value: String)] = []

    init(items: [(name: String, value: String)]) { self.items = items }

    /// Reads `a=1&b=2`; `;` separates too, a name without `=` has an empty value, a `#fragment` is dropped.
    package init(_ text: Substring) throws(Refusal) {
        let text = text.prefix { $0 != "#" }
        for part in text.utf8.split(whereSeparator: { $0 == UInt8(ascii: "&") || $0 == UInt8(ascii: ";") }) {
            let halves = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = RequestPath.decode(halves[0]),
                let value = RequestPath.decode(halves.count > 1 ? Array(halves[1]) : [])
            else { throw Refusal.badRequest("invalid_url_encoding") }
            items.append((String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self)))
        }
    }

    package subscript(name: String) -> String? { items.last { $0.name == name }?.value }

    /// `true` or not: for the options where CouchDB takes every other text as no.
    func flag(_ name: String) -> Bool { self[name] == "true" }

    /// A value that must be JSON.
    func json(_ name: String) throws -> JSON? {
        guard let text = self[name] else { return nil }
        return try Self.json(text)
    }

    static func json(_ text: String) throws(Refusal) -> JSON {
        guard let value = try? JSON(parsing: text, numbers: .canonical) else { throw Refusal.invalidJSON }
        return value
    }

    /// A value that must be a whole number and, unless told otherwise, not negative.
    func integer(_ name: String) throws -> Int? {
        guard let text = self[name] else { return nil }
        return try Self.integer(text)
    }

    static func integer(_ text: String) throws(Refusal) -> Int {
        if text.isEmpty { throw .queryParse("Invalid value for integer: []") }
        guard text.first != "+", let number = Int(text) else {
            throw .queryParse("Invalid value for integer: \(JSON.string(text))")
        }
        if number < 0 { throw .queryParse("Invalid value for positive integer: \(JSON.string(text))") }
        return min(number, greatestInteger)
    }

    /// Greater numbers mean the same, and no sum with this one overflows.
    static let greatestInteger = 1 << 53

    /// A value that must be `true` or `false` (in any case, as CouchDB reads them).
    func boolean(_ name: String) throws -> Bool? {
        guard let text = self[name] else { return nil }
        return try Self.boolean(text)
    }

    static func boolean(_ text: String) throws(Refusal) -> Bool {
        switch text.lowercased() {
        case "true": return true
        case "false": return false
        default: throw .queryParse("Invalid boolean parameter: \(JSON.string(text))")
        }
    }
}
