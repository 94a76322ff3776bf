/// What is looked for in the bytes of JSON strings.
package enum JSONText {
    /// Goes on to the next byte that ends a string or stands for something else in it: `"`, `\` or a control character.
    /// Looks at eight bytes at a time.
    ///
    /// - Returns: Whether all bytes on the way are ASCII.
    package static func skipPlain(_ bytes: UnsafeBufferPointer<UInt8>, _ position: inout Int) -> Bool {
        var all: UInt64 = 0
        let raw = UnsafeRawBufferPointer(bytes)
        while position + 8 <= bytes.count {
            let word = raw.loadUnaligned(fromByteOffset: position, as: UInt64.self)
            if hasMark(word) { break }
            all |= word
            position += 8
        }
        while position < bytes.count {
            let byte = bytes[position]
            if byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { break }
            all |= UInt64(byte)
            position += 1
        }
        return all & high == 0
    }

    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let high: UInt64 = 0x8080_8080_8080_8080

    /// Whether one of the bytes is below 0x20, a quote or a backslash. (What is subtracted from borrows from the byte above it
    /// only where a byte is found already.)
    private static func hasMark(_ word: UInt64) -> Bool {
        func hasByte(below bound: UInt64, _ word: UInt64) -> UInt64 { (word &- ones &* bound) & ~word & high }
        let quote = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
        let backslash = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
        return hasByte(below: 0x20, word) | hasByte(below: 1, quote) | hasByte(below: 1, backslash) != 0
    }
}
