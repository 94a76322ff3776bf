/// Where a row stands in its view, as bytes in the order of the rows: collation key, document id, and a number that
/// tells rows of equal key and document apart.
enum RowPosition {
    static let ordinalSize = 4

    /// Adds the number at the end of a position.
    static func append(ordinal: Int, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: UInt32(truncatingIfNeeded: ordinal).bigEndian) { bytes.append(contentsOf: $0) }
    }

    /// Before every row of the key, or of the key and document.
    static func before(sortKey: [UInt8], id: String? = nil) -> [UInt8] {
        var bytes = sortKey
        if let id { CollationKey.appendEscaped(id.utf8, to: &bytes) }
        return bytes
    }

    /// After every row of the key, or of the key and document.
    static func after(sortKey: some Sequence<UInt8>, id: String? = nil) -> [UInt8] {
        var bytes = Array(sortKey)
        if let id { CollationKey.appendEscaped(id.utf8, to: &bytes) }
        // Above every ordinal in use, and no UTF-8 text holds this byte.
        bytes.append(0xFF)
        return bytes
    }

    /// The id in a position whose collation key is `sortLength` bytes long.
    static func id(in position: ArraySlice<UInt8>, sortLength: Int, hasOrdinal: Bool = true) -> String {
        let start = position.startIndex + sortLength
        let escaped = position[start..<max(start, position.endIndex - (hasOrdinal ? ordinalSize : 0) - 2)]
        if !escaped.contains(0) { return String(decoding: escaped, as: UTF8.self) }
        var text: [UInt8] = []
        var isAfterZero = false
        for byte in escaped {
            if isAfterZero && byte == 0xFF {
                isAfterZero = false
                continue
            }
            text.append(byte)
            isAfterZero = byte == 0
        }
        return String(decoding: text, as: UTF8.self)
    }
}
