import CouchDocument
import Foundation

/// A step uses a variable that no earlier answer has given.
struct Unbound: Error, CustomStringConvertible {
    let name: String
    var description: String { "the value of \(name), which no earlier answer gave" }
}

/// The names bound in one scenario: fresh databases, what answers have given, the server's address and its admin.
struct Variables: Sendable {
    private(set) var values: [String: JSON]
    /// The databases that were named, to be deleted at the end.
    let databases: [String: String]
    let host: String
    let port: Int

    /// - Parameter url: The server, with an admin in it.
    init(url: String) throws {
        guard let parts = URLComponents(string: url), let host = parts.host else {
            throw RawError(description: "\(url) is no URL")
        }
        self.host = host
        port = parts.port ?? 5984
        let authority = "\(host):\(port)"
        func word() -> String { UUID().uuidString.lowercased().filter { $0 != "-" } }
        values = [
            "base": .string("http://\(authority)"), "host": .string(authority),
            "adminUser": .string(parts.user ?? ""), "adminPassword": .string(parts.password ?? ""),
            "uid": .string(String(word().prefix(12))),
        ]
        var databases: [String: String] = [:]
        for name in ["db"] + (1...9).map({ "db\($0)" }) { databases[name] = "t\(word().prefix(14))\(name)" }
        self.databases = databases
        for (name, database) in databases { values[name] = .string(database) }
    }

    mutating func bind(_ name: String, _ value: JSON) { values[name] = value }

    private func value(_ expression: Substring) throws -> JSON {
        let parts = expression.split(separator: "|", maxSplits: 1)
        guard let value = values[String(parts[0])] else { throw Unbound(name: String(parts[0])) }
        guard parts.count > 1 else { return value }
        let text = Self.text(value)
        guard let dash = text.firstIndex(of: "-") else { return value }
        return .string(String(parts[1] == "hash" ? text[text.index(after: dash)...] : text[..<dash]))
    }

    private static func text(_ value: JSON) -> String { value.stringValue ?? value.description }

    /// Replaces every `{{name}}`.
    func fill(_ text: String, quoted: Bool) throws -> String {
        var result = ""
        var rest = Substring(text)
        while let start = rest.range(of: "{{"), let end = rest.range(of: "}}", range: start.upperBound..<rest.endIndex)
        {
            result += rest[..<start.lowerBound]
            let value = Self.text(try value(rest[start.upperBound..<end.lowerBound]))
            result += quoted ? value.percentEncodedSegment : value
            rest = rest[end.upperBound...]
        }
        return result + rest
    }

    /// Replaces variables in all texts and names; a text that is nothing but a variable becomes its value.
    func fill(_ json: JSON) throws -> JSON {
        switch json {
        case .string(let text):
            if text.hasPrefix("{{"), text.hasSuffix("}}"), !text.dropFirst(2).contains("{") {
                return try value(text.dropFirst(2).dropLast(2))
            }
            return .string(try fill(text, quoted: false))
        case .array(let elements): return .array(try elements.map(fill))
        case .object(let members):
            return .object(JSONObject(try members.map { (try fill($0.name, quoted: false), try fill($0.value)) }))
        default: return json
        }
    }
}
