import CouchDocument
import Foundation

/// Compares an answer with what was recorded and gathers the differences, one line each.
struct Comparison {
    private(set) var variables: Variables
    private(set) var differences: [String] = []

    init(_ variables: Variables) { self.variables = variables }

    mutating func differ(_ place: String, _ expected: String, _ actual: String) {
        differences.append("\(place): expected \(expected.prefix(400)), got \(actual.prefix(400))")
    }

    private mutating func differ(_ place: String, _ expected: JSON?, _ actual: JSON?) {
        differ(place, expected?.description ?? "nothing", actual?.description ?? "nothing")
    }

    /// Swift takes composed and decomposed characters for equal; an answer's bytes are not.
    static func isSame(_ left: String, _ right: String) -> Bool { left.utf8.elementsEqual(right.utf8) }

    /// Numbers compare by value, and no digit may be lost.
    static func isSame(_ left: JSON, _ right: JSON) -> Bool {
        func digits(_ json: JSON) -> [String]? {
            switch json {
            case .integer(let number): return normal(String(number))
            case .decimal(let number): return normal(number.text)
            default: return nil
            }
        }
        guard let left = digits(left), let right = digits(right) else { return false }
        return left == right
    }

    /// Sign, digits without zeros at either end, and the exponent of the last one.
    private static func normal(_ text: String) -> [String] {
        let parts = text.lowercased().split(separator: "e")
        var mantissa = parts[0]
        let sign = mantissa.hasPrefix("-") ? "-" : "+"
        if mantissa.hasPrefix("-") { mantissa = mantissa.dropFirst() }
        let halves = mantissa.split(separator: ".", omittingEmptySubsequences: false)
        var digits = halves.joined().drop { $0 == "0" }
        var exponent = (parts.count > 1 ? Int(parts[1]) ?? 0 : 0) - (halves.count > 1 ? halves[1].count : 0)
        while digits.last == "0" {
            digits.removeLast()
            exponent += 1
        }
        return digits.isEmpty ? ["0"] : [sign, String(digits), String(exponent)]
    }

    // MARK: Values

    /// `ordered`: members must come in this order.
    mutating func value(_ expected: JSON, _ actual: JSON, at place: String, ordered: Bool) {
        if case .object(let rule) = expected, rule["$match"] != nil {
            return match(rule, actual, at: place, ordered: ordered)
        }
        var expected = expected
        if case .string = expected {
            do {
                expected = try variables.fill(expected)
            } catch {
                return differ(place, "\(error)", actual.description)
            }
        }
        switch (expected, actual) {
        case (.object(let wanted), .object(let found)): object(wanted, found, at: place, ordered: ordered)
        case (.array(let wanted), .array(let found)):
            for index in 0..<max(wanted.count, found.count) {
                guard index < wanted.count, index < found.count else {
                    differ(
                        "\(place)[\(index)]", index < wanted.count ? wanted[index] : nil,
                        index < found.count ? found[index] : nil)
                    continue
                }
                value(wanted[index], found[index], at: "\(place)[\(index)]", ordered: ordered)
            }
        case (.string(let wanted), .string(let found)):
            if !Self.isSame(wanted, found) { differ(place, expected, actual) }
        case (.bool(let wanted), .bool(let found)): if wanted != found { differ(place, expected, actual) }
        case (.null, .null): break
        default: if !Self.isSame(expected, actual) { differ(place, expected, actual) }
        }
    }

    private mutating func object(_ wanted: JSONObject, _ found: JSONObject, at place: String, ordered: Bool) {
        var names: [String] = []
        for (template, item) in wanted {
            guard let name = try? variables.fill(template, quoted: false) else {
                differ(place, "a name that no earlier answer gave: \(template)", "")
                continue
            }
            names.append(name)
            if let actual = found[name] {
                value(item, actual, at: "\(place).\(name)", ordered: ordered)
            } else if item["$match"] == nil || item["optional"] != true {
                differ("\(place).\(name)", item, nil)
            }
        }
        for (name, actual) in found where !names.contains(name) { differ("\(place).\(name)", nil, actual) }
        if ordered, Set(names) == Set(found.names), names != found.names {
            differ("\(place) (order of members)", names.description, found.names.description)
        }
    }

    /// Compares on trial; what it captures counts only if all is equal.
    private mutating func isEqual(_ expected: JSON, _ actual: JSON, ordered: Bool) -> Bool {
        var trial = Comparison(variables)
        trial.value(expected, actual, at: "", ordered: ordered)
        guard trial.differences.isEmpty else { return false }
        variables = trial.variables
        return true
    }

    // MARK: Matchers

    private mutating func match(_ rule: JSONObject, _ actual: JSON, at place: String, ordered: Bool) {
        let isGood: Bool
        switch rule["$match"]?.stringValue ?? "" {
        case "subset":
            for (name, item) in rule["of"]?.objectValue ?? [:] {
                if let found = actual[name] {
                    value(item, found, at: "\(place).\(name)", ordered: ordered)
                } else if item["optional"] != true {
                    differ("\(place).\(name)", item, nil)
                }
            }
            return
        case "includes", "unordered":
            list(rule, actual, at: place, ordered: ordered)
            return
        case "oneOf":
            isGood = (rule["values"]?.arrayValue ?? []).contains { isEqual($0, actual, ordered: ordered) }
        case "array":
            isGood = actual.arrayValue.map { $0.count >= rule["min"]?.intValue ?? 0 } ?? false
            if isGood, let each = rule["each"] {
                for (index, item) in (actual.arrayValue ?? []).enumerated() {
                    value(each, item, at: "\(place)[\(index)]", ordered: ordered)
                }
            }
        default: isGood = Self.simple(rule, actual)
        }
        if let name = rule["as"]?.stringValue { variables.bind(name, Self.kept(rule, actual)) }
        if !isGood { differ(place, .object(rule), actual) }
    }

    private mutating func list(_ rule: JSONObject, _ actual: JSON, at place: String, ordered: Bool) {
        let items = rule["items"]?.arrayValue ?? []
        guard var left = actual.arrayValue else { return differ(place, .array(items), actual) }
        for item in items {
            if let hit = left.firstIndex(where: { isEqual(item, $0, ordered: ordered) }) {
                left.remove(at: hit)
            } else {
                differ("\(place) (some item)", item, .array(left))
            }
        }
        if rule["$match"] == "unordered" {
            for other in left { differ("\(place) (some item)", nil, other) }
        }
    }

    private static func matches(_ text: String, _ pattern: String) -> [String]? {
        guard let regex = try? NSRegularExpression(pattern: "^(?:\(pattern))$"),
            let found = regex.firstMatch(in: text, range: NSRange(text.startIndex..., in: text))
        else { return nil }
        return (0..<found.numberOfRanges).map { index in
            Range(found.range(at: index), in: text).map { String(text[$0]) } ?? ""
        }
    }

    private static func cookie(_ text: String) -> (name: String, value: String, flags: Set<String>) {
        let parts = text.split(separator: ";", omittingEmptySubsequences: false).map {
            $0.trimmingCharacters(in: .whitespaces)
        }
        let pair = parts[0].split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let flags = parts.dropFirst().map { $0.split(separator: "=").first.map { $0.lowercased() } ?? "" }
        return (String(pair[0]), pair.count > 1 ? String(pair[1]) : "", Set(flags))
    }

    private static func simple(_ rule: JSONObject, _ actual: JSON) -> Bool {
        let text = actual.stringValue
        let number = actual.numberValue
        func fits(_ pattern: String) -> Bool { text.flatMap { matches($0, pattern) } != nil }
        switch rule["$match"]?.stringValue ?? "" {
        case "rev":
            return fits("[1-9][0-9]*-[0-9A-Za-z]+")
                && (rule["gen"] == nil || text?.hasPrefix("\(rule["gen"]!)-") == true)
        case "revhash": return fits("[0-9A-Za-z]+")
        case "seq": return text?.isEmpty == false || actual.intValue != nil
        case "uuid": return fits("[0-9a-f]{32}")
        case "digest": return fits("md5-[A-Za-z0-9+/]{22}==")
        case "etag": return fits("(W/)?\"[^\"]+\"")
        case "any": return true
        case "number":
            guard let number else { return false }
            return number >= rule["min"]?.numberValue ?? number && number <= rule["max"]?.numberValue ?? number
        case "string":
            let words = rule["contains"]?.arrayValue?.compactMap(\.stringValue) ?? []
            return text.map { text in words.allSatisfy { text.contains($0) } } ?? false
        case "boolean": return actual.boolValue != nil
        case "object": return actual.objectValue != nil
        case "timestamp":
            return number.map { $0 > 1_000_000_000 } ?? false
                || text.map { $0.firstMatch(of: /\d{4}-\d\d-\d\dT|\d\d \w{3} \d{4} \d\d:/) != nil } ?? false
        case "regex": return fits(rule["pattern"]?.stringValue ?? "")
        case "cookie":
            let cookie = cookie(text ?? "")
            let flags = rule["flags"]?.arrayValue?.compactMap { $0.stringValue?.lowercased() } ?? []
            return cookie.name == rule["name"]?.stringValue && cookie.value.isEmpty == (rule["empty"] == true)
                && flags.allSatisfy(cookie.flags.contains)
        case "mediaType":
            let type = text?.split(separator: ";").first?.trimmingCharacters(in: .whitespaces).lowercased()
            return type == rule["is"]?.stringValue
        default: return false
        }
    }

    /// What a matcher's `as` keeps of the value.
    private static func kept(_ rule: JSONObject, _ actual: JSON) -> JSON {
        guard let text = actual.stringValue else { return actual }
        switch rule["$match"]?.stringValue ?? "" {
        case "revhash": return .string("\(rule["gen"] ?? .null)-\(text)")
        case "cookie": return .string(cookie(text).value)
        case "regex":
            let groups = matches(text, rule["pattern"]?.stringValue ?? "") ?? []
            return groups.count > 1 ? .string(groups[1]) : actual
        default: return actual
        }
    }
}
