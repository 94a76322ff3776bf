/// Walks over JSON text that is known to be well formed (written by this process or already parsed once), without
/// building values. Malformed text never reads out of bounds; it only ends early.
struct JSONCursor {
    let bytes: UnsafeBufferPointer<UInt8>
    var position: Int

    init(_ bytes: UnsafeBufferPointer<UInt8>, at position: Int = 0) {
        self.bytes = bytes
        self.position = position
    }

    /// The next byte that is not white space; 0 at the end.
    mutating func peek() -> UInt8 {
        while position < bytes.count {
            let byte = bytes[position]
            if byte != 0x20 && byte != 0x0A && byte != 0x0D && byte != 0x09 { return byte }
            position += 1
        }
        return 0
    }

    /// Passes over `byte` if it comes next.
    mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        position += 1
        return true
    }

    /// Passes over one value and answers where it stands.
    mutating func skipValue() -> Range<Int> {
        let first = peek()
        let start = position
        switch first {
        case UInt8(ascii: "\""): skipString()
        case UInt8(ascii: "["), UInt8(ascii: "{"):
            var depth = 0
            while position < bytes.count {
                switch bytes[position] {
                case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
                case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
                case UInt8(ascii: "\""):
                    skipString()
                    continue
                default: break
                }
                position += 1
                if depth == 0 { break }
            }
        default:
            while position < bytes.count {
                switch bytes[position] {
                case UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"), 0x20, 0x0A, 0x0D, 0x09:
                    return start..<position
                default: position += 1
                }
            }
        }
        return start..<position
    }

    /// Where the elements of an array stand in its text.
    static func elements(of array: ArraySlice<UInt8>) -> [Range<Int>] {
        array.withUnsafeBufferPointer { buffer in
            var cursor = JSONCursor(buffer)
            var elements: [Range<Int>] = []
            guard cursor.take(UInt8(ascii: "[")) else { return [] }
            while cursor.peek() != UInt8(ascii: "]"), cursor.position < buffer.count {
                let element = cursor.skipValue()
                elements.append(array.startIndex + element.lowerBound..<array.startIndex + element.upperBound)
                _ = cursor.take(UInt8(ascii: ","))
            }
            return elements
        }
    }

    private mutating func skipString() {
        position += 1
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return
            case UInt8(ascii: "\\"): position += 2
            default: position += 1
            }
        }
        position = min(position, bytes.count)
    }

    /// Reads a string: its bytes in place when nothing in it is escaped, else its text unescaped in `scratch`.
    mutating func string<Result>(_ scratch: inout [UInt8], _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        let whole = { () -> Range<Int> in
            _ = peek()
            let start = position
            skipString()
            return start..<position
        }()
        let content = (whole.lowerBound + 1)..<max(whole.lowerBound + 1, whole.upperBound - 1)
        let raw = UnsafeBufferPointer(rebasing: bytes[content])
        guard raw.contains(UInt8(ascii: "\\")) else { return body(raw) }
        Self.unescape(raw, into: &scratch)
        return scratch.withUnsafeBufferPointer(body)
    }

    private static func unescape(_ raw: UnsafeBufferPointer<UInt8>, into output: inout [UInt8]) {
        output.removeAll(keepingCapacity: true)
        var index = 0
        func quad(at start: Int) -> UInt32 {
            guard start + 4 <= raw.count else { return 0xFFFD }
            return UInt32(String(decoding: raw[start..<start + 4], as: UTF8.self), radix: 16) ?? 0xFFFD
        }
        while index < raw.count {
            let byte = raw[index]
            guard byte == UInt8(ascii: "\\"), index + 1 < raw.count else {
                output.append(byte)
                index += 1
                continue
            }
            index += 2
            switch raw[index - 1] {
            case UInt8(ascii: "b"): output.append(0x08)
            case UInt8(ascii: "f"): output.append(0x0C)
            case UInt8(ascii: "n"): output.append(0x0A)
            case UInt8(ascii: "r"): output.append(0x0D)
            case UInt8(ascii: "t"): output.append(0x09)
            case UInt8(ascii: "u"):
                var code = quad(at: index)
                index += 4
                if (0xD800..<0xDC00).contains(code), index + 6 <= raw.count, raw[index] == UInt8(ascii: "\\") {
                    let low = quad(at: index + 2)
                    if (0xDC00..<0xE000).contains(low) {
                        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
                        index += 6
                    }
                }
                // A lone surrogate has no UTF-8: it sorts as the replacement character.
                output.append(contentsOf: UTF8.encode(Unicode.Scalar(code) ?? "\u{FFFD}")!)
            default: output.append(raw[index - 1])
            }
        }
    }

    /// Reads a number as the nearest double.
    mutating func number() -> Double {
        let range = skipValue()
        var value = 0
        var index = range.lowerBound
        let isNegative = index < range.upperBound && bytes[index] == UInt8(ascii: "-")
        if isNegative { index += 1 }
        // Up to 15 digits are exact in a double, and most numbers are such integers.
        if range.upperBound - index <= 15 {
            while index < range.upperBound, (0x30...0x39).contains(bytes[index]) {
                value = value * 10 + Int(bytes[index] - 0x30)
                index += 1
            }
            if index == range.upperBound { return isNegative ? -Double(value) : Double(value) }
        }
        return Double(String(decoding: bytes[range], as: UTF8.self)) ?? 0
    }
}
