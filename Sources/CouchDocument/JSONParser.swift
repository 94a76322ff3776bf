/// What is wrong with a text that should have been JSON.
public struct JSONError: Error, Hashable, CustomStringConvertible {
    /// Offset of the first byte that can not be, from 0.
    public let offset: Int
    /// What was expected there, for people.
    public let reason: String

    /// The reason and the place.
    public var description: String { "\(reason) at byte \(offset)" }
}

/// What becomes of the text of numbers that are no 64-bit integers.
public enum JSONNumberPolicy: Sendable {
    /// The text is kept as written.
    case verbatim
    /// Fractions and exponents are rewritten as CouchDB does (`1e5` → `100000.0`); beyond a double's range is an error.
    case canonical
}

extension JSON {
    /// Arrays and objects nested deeper than this are refused, so that no text can exhaust a stack.
    public static let maximumDepth = 1000

    /// Numbers written with more digits than this are refused, for the work on them grows with the square of their length.
    public static let maximumNumberLength = 10_000

    /// Reads one JSON value that fills the whole text (white space around it is fine).
    ///
    /// Strict: RFC 8259 grammar, valid UTF-8, no lone surrogates, no control characters in strings. Of a repeated member
    /// the last one stays, in its last place. Costs no more than a few passes over the text, whatever it says.
    ///
    /// - Throws: ``JSONError`` with the offset of the first bad byte.
    public init(parsing bytes: some Sequence<UInt8>, numbers: JSONNumberPolicy = .verbatim) throws(JSONError) {
        let fast: Result<JSON, JSONError>? = bytes.withContiguousStorageIfAvailable { buffer in
            Self.parse(buffer, numbers)
        }
        let result = fast ?? Array(bytes).withUnsafeBufferPointer { buffer in Self.parse(buffer, numbers) }
        self = try result.get()
    }

    /// Reads one JSON value from a string; see ``init(parsing:numbers:)-(Sequence,_)``.
    public init(parsing text: String, numbers: JSONNumberPolicy = .verbatim) throws(JSONError) {
        try self.init(parsing: text.utf8, numbers: numbers)
    }

    private static func parse(_ buffer: UnsafeBufferPointer<UInt8>, _ numbers: JSONNumberPolicy)
        -> Result<JSON, JSONError>
    {
        Result { () throws(JSONError) in
            var parser = JSONParser(bytes: buffer, numbers: numbers)
            return try parser.document()
        }
    }
}

/// A recursive-descent reader over bytes that stay in place while it lives.
struct JSONParser {
    let bytes: UnsafeBufferPointer<UInt8>
    let numbers: JSONNumberPolicy
    var position = 0
    var depth = 0

    init(bytes: UnsafeBufferPointer<UInt8>, numbers: JSONNumberPolicy) {
        self.bytes = bytes
        self.numbers = numbers
    }

    mutating func document() throws(JSONError) -> JSON {
        let result = try value()
        skipSpace()
        guard position == bytes.count else { throw failure("expected the end of the text") }
        return result
    }

    private func failure(_ reason: String) -> JSONError { JSONError(offset: position, reason: reason) }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    private mutating func value() throws(JSONError) -> JSON {
        skipSpace()
        switch current {
        case UInt8(ascii: "{"): return try object()
        case UInt8(ascii: "["): return try array()
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"): return try number()
        case .some(UInt8(ascii: "0")...UInt8(ascii: "9")): return try number()
        default: throw failure("expected a JSON value")
        }
    }

    private mutating func word(_ text: StaticString, _ value: JSON) throws(JSONError) -> JSON {
        for index in 0..<text.utf8CodeUnitCount {
            guard current == text.utf8Start[index] else { throw failure("expected \(text)") }
            position += 1
        }
        return value
    }

    private mutating func enter() throws(JSONError) {
        depth += 1
        position += 1
        if depth > JSON.maximumDepth { throw failure("nested deeper than \(JSON.maximumDepth) levels") }
        skipSpace()
    }

    private mutating func array() throws(JSONError) -> JSON {
        try enter()
        defer { depth -= 1 }
        var elements: [JSON] = []
        if current == UInt8(ascii: "]") {
            position += 1
            return .array(elements)
        }
        while true {
            elements.append(try value())
            skipSpace()
            switch current {
            case UInt8(ascii: ","): position += 1
            case UInt8(ascii: "]"):
                position += 1
                return .array(elements)
            default: throw failure("expected , or ]")
            }
        }
    }

    private mutating func object() throws(JSONError) -> JSON {
        try enter()
        defer { depth -= 1 }
        if current == UInt8(ascii: "}") {
            position += 1
            return .object(JSONObject())
        }
        var members: [JSONObject.Entry] = []
        members.reserveCapacity(8)
        while true {
            skipSpace()
            guard current == UInt8(ascii: "\"") else { throw failure("expected a member name") }
            let name = try string()
            skipSpace()
            guard current == UInt8(ascii: ":") else { throw failure("expected :") }
            position += 1
            members.append(JSONObject.Entry(name: name, value: try value()))
            skipSpace()
            switch current {
            case UInt8(ascii: ","): position += 1
            case UInt8(ascii: "}"):
                position += 1
                return .object(JSONObject(lastOf: members))
            default: throw failure("expected , or }")
            }
        }
    }

    private mutating func string() throws(JSONError) -> String {
        position += 1
        let start = position
        let isASCII = JSONText.skipPlain(bytes, &position)
        guard let byte = current else { throw failure("unfinished string") }
        switch byte {
        case UInt8(ascii: "\""):
            let text =
                isASCII
                // ASCII can not be wrong, so nothing is repaired here.
                ? String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<position]), as: UTF8.self)
                : try utf8(start..<position)
            position += 1
            return text
        case UInt8(ascii: "\\"): return try stringWithEscapes(from: start)
        default: throw failure("control character in a string")
        }
    }

    private func utf8(_ range: Range<Int>) throws(JSONError) -> String {
        guard let text = String(validating: UnsafeBufferPointer(rebasing: bytes[range]), as: UTF8.self) else {
            throw JSONError(offset: range.lowerBound, reason: "invalid UTF-8 in a string")
        }
        return text
    }

    private mutating func stringWithEscapes(from start: Int) throws(JSONError) -> String {
        var units = Array(bytes[start..<position])
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: units, as: UTF8.self) else {
                    throw JSONError(offset: start, reason: "invalid UTF-8 in a string")
                }
                position += 1
                return text
            case UInt8(ascii: "\\"):
                position += 1
                try appendEscape(to: &units)
            case ..<0x20: throw failure("control character in a string")
            default:
                units.append(byte)
                position += 1
            }
        }
        throw failure("unfinished string")
    }

    private mutating func appendEscape(to units: inout [UInt8]) throws(JSONError) {
        guard let byte = current else { throw failure("unfinished string") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): units.append(byte)
        case UInt8(ascii: "b"): units.append(0x08)
        case UInt8(ascii: "f"): units.append(0x0C)
        case UInt8(ascii: "n"): units.append(0x0A)
        case UInt8(ascii: "r"): units.append(0x0D)
        case UInt8(ascii: "t"): units.append(0x09)
        case UInt8(ascii: "u"):
            var code = try hexQuad()
            if (0xD800..<0xDC00).contains(code) {
                guard current == UInt8(ascii: "\\"), position + 1 < bytes.count,
                    bytes[position + 1] == UInt8(ascii: "u")
                else { throw failure("lone surrogate in a string") }
                position += 2
                let low = try hexQuad()
                guard (0xDC00..<0xE000).contains(low) else { throw failure("lone surrogate in a string") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw failure("lone surrogate in a string") }
            units.append(contentsOf: UTF8.encode(scalar)!)
        default: throw failure("unknown escape in a string")
        }
    }

    private mutating func hexQuad() throws(JSONError) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = current, let digit = Self.hexDigit(byte) else { throw failure("expected four hex digits") }
            code = code << 4 | UInt32(digit)
            position += 1
        }
        return code
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    private mutating func digits() throws(JSONError) {
        guard let first = current, (0x30...0x39).contains(first) else { throw failure("expected a digit") }
        while let byte = current, (0x30...0x39).contains(byte) { position += 1 }
    }

    private mutating func number() throws(JSONError) -> JSON {
        let start = position
        if current == UInt8(ascii: "-") { position += 1 }
        if current == UInt8(ascii: "0") { position += 1 } else { try digits() }
        var isInteger = true
        if current == UInt8(ascii: ".") {
            isInteger = false
            position += 1
            try digits()
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            isInteger = false
            position += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
            try digits()
        }
        if isInteger, let value = integer(start..<position) { return .integer(value) }
        guard position - start <= JSON.maximumNumberLength else {
            throw JSONError(offset: start, reason: "number of more than \(JSON.maximumNumberLength) characters")
        }
        let literal = JSONDecimal(validated: String(decoding: bytes[start..<position], as: UTF8.self))
        if isInteger || numbers == .verbatim { return .decimal(literal) }
        guard let canonical = JSONDecimal(literal.doubleValue) else {
            throw JSONError(offset: start, reason: "number out of range")
        }
        return .decimal(canonical)
    }

    private func integer(_ range: Range<Int>) -> Int? {
        let isNegative = bytes[range.lowerBound] == UInt8(ascii: "-")
        var value = 0
        for index in (range.lowerBound + (isNegative ? 1 : 0))..<range.upperBound {
            let digit = Int(bytes[index] - 0x30)
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            // Counted downwards, so that the smallest integer fits.
            let (next, underflow) = product.subtractingReportingOverflow(digit)
            if overflow || underflow { return nil }
            value = next
        }
        if isNegative { return value }
        return value == .min ? nil : -value
    }
}
