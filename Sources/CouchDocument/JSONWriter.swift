extension JSON {
    /// The value as compact UTF-8 JSON: no white space, members in order, non-ASCII characters as themselves.
    public func encoded() -> [UInt8] {
        var writer = JSONWriter()
        writer.write(self)
        return writer.bytes
    }

    /// The value as indented UTF-8 text for people, without a newline at the end.
    public func prettyPrinted(indent: Int = 2) -> String {
        var writer = JSONWriter()
        writer.writePretty(self, indent: indent, level: 0)
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}

/// Gathers JSON text. For answers that are written piece by piece; a single value has ``JSON/encoded()``.
public struct JSONWriter: Sendable {
    /// What was written so far.
    public private(set) var bytes: [UInt8] = []

    /// An empty text.
    public init() {}

    /// Room for this many bytes more, so that large answers do not grow step by step.
    public mutating func reserve(_ count: Int) { bytes.reserveCapacity(bytes.count + count) }

    /// Adds text that is already JSON, or punctuation between values.
    public mutating func raw(_ text: StaticString) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Adds bytes that are already JSON.
    public mutating func raw(_ json: some Sequence<UInt8>) { bytes.append(contentsOf: json) }

    /// Takes what was written and starts anew, keeping no capacity.
    public mutating func take() -> [UInt8] {
        defer { bytes = [] }
        return bytes
    }

    /// Adds a value.
    public mutating func write(_ value: JSON) {
        switch value {
        case .null: raw("null")
        case .bool(true): raw("true")
        case .bool(false): raw("false")
        case .integer(let number): write(number)
        case .decimal(let number): bytes.append(contentsOf: number.text.utf8)
        case .string(let text): write(text)
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            var isFirst = true
            for element in elements {
                if !isFirst { bytes.append(UInt8(ascii: ",")) }
                isFirst = false
                write(element)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let members): write(members)
        }
    }

    /// Adds an object.
    public mutating func write(_ members: JSONObject) {
        bytes.append(UInt8(ascii: "{"))
        var isFirst = true
        for member in members.entries {
            if !isFirst { bytes.append(UInt8(ascii: ",")) }
            isFirst = false
            write(member.name)
            bytes.append(UInt8(ascii: ":"))
            write(member.value)
        }
        bytes.append(UInt8(ascii: "}"))
    }

    /// Adds an integer.
    public mutating func write(_ number: Int) {
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        var rest = number.magnitude
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var start = digits.count
            repeat {
                start -= 1
                digits[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            bytes.append(contentsOf: UnsafeBufferPointer(rebasing: digits[start...]))
        }
    }

    /// Adds a revision with its quotes.
    public mutating func write(_ revision: Revision) {
        bytes.append(UInt8(ascii: "\""))
        write(revision.generation)
        bytes.append(UInt8(ascii: "-"))
        bytes.append(contentsOf: revision.hash.utf8)
        bytes.append(UInt8(ascii: "\""))
    }

    /// Adds a string with its quotes. Only `"`, `\` and control characters are escaped, as CouchDB does.
    public mutating func write(_ text: String) {
        var text = text
        bytes.append(UInt8(ascii: "\""))
        text.withUTF8 { units in
            var start = 0
            var position = 0
            while true {
                _ = JSONText.skipPlain(units, &position)
                bytes.append(contentsOf: UnsafeBufferPointer(rebasing: units[start..<position]))
                guard position < units.count else { break }
                escape(units[position])
                position += 1
                start = position
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func escape(_ unit: UInt8) {
        bytes.append(UInt8(ascii: "\\"))
        switch unit {
        case 0x08: bytes.append(UInt8(ascii: "b"))
        case 0x0C: bytes.append(UInt8(ascii: "f"))
        case 0x0A: bytes.append(UInt8(ascii: "n"))
        case 0x0D: bytes.append(UInt8(ascii: "r"))
        case 0x09: bytes.append(UInt8(ascii: "t"))
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(unit)
        default:
            let hex = Array("0123456789ABCDEF".utf8)
            bytes.append(contentsOf: "u00".utf8)
            bytes.append(hex[Int(unit >> 4)])
            bytes.append(hex[Int(unit & 15)])
        }
    }

    mutating func writePretty(_ value: JSON, indent: Int, level: Int) {
        func newline(_ writer: inout JSONWriter, _ level: Int) {
            writer.bytes.append(UInt8(ascii: "\n"))
            writer.bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: indent * level))
        }
        switch value {
        case .array(let elements) where !elements.isEmpty:
            raw("[")
            for (index, element) in elements.enumerated() {
                if index > 0 { raw(",") }
                newline(&self, level + 1)
                writePretty(element, indent: indent, level: level + 1)
            }
            newline(&self, level)
            raw("]")
        case .object(let members) where !members.isEmpty:
            raw("{")
            for (index, member) in members.enumerated() {
                if index > 0 { raw(",") }
                newline(&self, level + 1)
                write(member.name)
                raw(": ")
                writePretty(member.value, indent: indent, level: level + 1)
            }
            newline(&self, level)
            raw("}")
        default: write(value)
        }
    }
}
