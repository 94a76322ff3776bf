import CouchDocument

/// Values as Python writes them: scripts read what Data Dispatcher's own commands print.
enum PythonText {
    /// As `json.dumps(value, indent=2, sort_keys=True)`.
    static func json(_ value: JSON, indent: String = "") -> String {
        let inner = indent + "  "
        switch value {
        case .array(let elements) where !elements.isEmpty:
            return "[\n" + elements.map { inner + json($0, indent: inner) }.joined(separator: ",\n") + "\n\(indent)]"
        case .object(let members) where !members.isEmpty:
            let lines = sorted(members).map { inner + quoted($0.name) + ": " + json($0.value, indent: inner) }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(indent)}"
        default: return compactJSON(value)
        }
    }

    /// As `json.dumps(value)`.
    static func compactJSON(_ value: JSON) -> String {
        switch value {
        case .null: "null"
        case .bool(let flag): flag ? "true" : "false"
        case .integer(let number): String(number)
        case .decimal(let number): text(of: number)
        case .string(let text): quoted(text)
        case .array(let elements): "[" + elements.map(compactJSON).joined(separator: ", ") + "]"
        case .object(let members):
            "{" + members.map { quoted($0.name) + ": " + compactJSON($0.value) }.joined(separator: ", ") + "}"
        }
    }

    /// As `str(value)`: texts as they are, anything else as ``literal(_:)``.
    static func plain(_ value: JSON) -> String {
        if case .string(let text) = value { text } else { literal(value) }
    }

    /// As `repr(value)`; members in their order.
    static func literal(_ value: JSON) -> String {
        switch value {
        case .null: "None"
        case .bool(let flag): flag ? "True" : "False"
        case .integer(let number): String(number)
        case .decimal(let number): text(of: number)
        case .string(let text): literal(text)
        case .array(let elements): "[" + elements.map(literal).joined(separator: ", ") + "]"
        case .object(let members):
            "{" + members.map { literal($0.name) + ": " + literal($0.value) }.joined(separator: ", ") + "}"
        }
    }

    /// As `repr(text)`.
    static func literal(_ text: String) -> String {
        let quote: Unicode.Scalar = text.utf8.contains(0x27) && !text.utf8.contains(0x22) ? "\"" : "'"
        var result = String.UnicodeScalarView()
        result.append(quote)
        for scalar in text.unicodeScalars {
            switch scalar {
            case quote, "\\": result.append(contentsOf: ["\\", scalar])
            case "\n": result.append(contentsOf: "\\n".unicodeScalars)
            case "\r": result.append(contentsOf: "\\r".unicodeScalars)
            case "\t": result.append(contentsOf: "\\t".unicodeScalars)
            default:
                if isPrintable(scalar) {
                    result.append(scalar)
                } else if scalar.value < 0x100 {
                    result.append(contentsOf: ("\\x" + digits(scalar.value, 2)).unicodeScalars)
                } else if scalar.value < 0x10000 {
                    result.append(contentsOf: ("\\u" + digits(scalar.value, 4)).unicodeScalars)
                } else {
                    result.append(contentsOf: ("\\U" + digits(scalar.value, 8)).unicodeScalars)
                }
            }
        }
        result.append(quote)
        return String(result)
    }

    /// Members in the order of their names' code points.
    static func sorted(_ members: JSONObject) -> [JSONObject.Member] {
        members.sorted { $0.name.unicodeScalars.lexicographicallyPrecedes($1.name.unicodeScalars) }
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        case .spaceSeparator: scalar == " "
        default: true
        }
    }

    private static func digits(_ value: UInt32, _ count: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }

    /// A JSON string in ASCII.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for unit in text.utf16 {
            switch unit {
            case 0x22: result += "\\\""
            case 0x5C: result += "\\\\"
            case 0x0A: result += "\\n"
            case 0x0D: result += "\\r"
            case 0x09: result += "\\t"
            case 0x08: result += "\\b"
            case 0x0C: result += "\\f"
            case 0x20...0x7E: result.unicodeScalars.append(Unicode.Scalar(UInt8(unit)))
            default: result += "\\u" + digits(UInt32(unit), 4)
            }
        }
        return result + "\""
    }

    /// Integers of any size as they are; others with the fewest digits that tell the number, with an exponent from 1e16 on
    /// and below 1e-4.
    private static func text(of number: JSONDecimal) -> String {
        if number.isInteger { return number.text }
        let value = number.doubleValue
        guard value.isFinite else { return value > 0 ? "Infinity" : "-Infinity" }
        let size = value.magnitude
        guard size != 0, size < 1e-4 || size >= 1e16 else {
            return value.sign == .minus && size == 0 ? "-0.0" : JSONDecimal.canonicalText(of: value)
        }
        // Swift writes these with an exponent too, but with other digits in it.
        let parts = "\(value)".split(separator: "e")
        guard parts.count == 2, let exponent = Int(parts[1]) else { return JSONDecimal.canonicalText(of: value) }
        let mantissa = parts[0].hasSuffix(".0") ? parts[0].dropLast(2) : parts[0]
        let tail = String(exponent.magnitude)
        return "\(mantissa)e\(exponent < 0 ? "-" : "+")\(tail.count < 2 ? "0" : "")\(tail)"
    }
}
