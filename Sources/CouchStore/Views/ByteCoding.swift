#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Integers in seven-bit groups, lowest first, as the nodes of row trees and the back index hold them.
extension [UInt8] {
    mutating func appendVarint(_ value: Int) {
        var rest = UInt(bitPattern: value)
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(rest))
    }
}

/// Reads what ``Swift/Array/appendVarint(_:)`` and plain bytes were written as.
struct ByteReader {
    let bytes: UnsafeBufferPointer<UInt8>
    var position = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    var isAtEnd: Bool { position >= bytes.count }

    mutating func varint() -> Int {
        var value: UInt = 0
        var shift: UInt = 0
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            value |= UInt(byte & 0x7F) << shift
            if byte < 0x80 { break }
            shift += 7
        }
        return Int(bitPattern: value)
    }

    /// The next so many bytes, or what is left: a length that can not be is one of a damaged file.
    mutating func take(_ count: Int) -> Range<Int> {
        let left = bytes.count - position
        let range = position..<position + (count < 0 || count > left ? left : count)
        position = range.upperBound
        return range
    }
}

/// -1, 0 or 1 as `memcmp` orders the two; a shorter one that begins the other comes first.
func compareBytes(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Int {
    let common = min(left.count, right.count)
    if common > 0 {
        let order = memcmp(left.baseAddress!, right.baseAddress!, common)
        if order != 0 { return order < 0 ? -1 : 1 }
    }
    return left.count == right.count ? 0 : left.count < right.count ? -1 : 1
}
