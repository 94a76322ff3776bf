import CouchDocument

/// Bytes for a JSON value whose order (`memcmp`) is the order of CouchDB's views.
///
/// No key is the beginning of another, so other parts can follow one in a compound key. Values that CouchDB takes for
/// equal (`1` and `1.0`, or strings that ICU does not tell apart) have equal keys.
package enum CollationKey {
    /// How values are ordered.
    package enum Order: String, Sendable {
        /// null, false, true, numbers, strings as ICU's root collation has them, arrays, objects.
        case unicode = "default"
        /// `"collation": "raw"`: the order of Erlang's terms. Numbers, false, null, true, objects, arrays, strings bytewise.
        case raw
    }

    // A container ends with a zero byte, which is below every tag, so a shorter one comes first.
    private static let end: UInt8 = 0

    /// The key of a value.
    package static func bytes(for value: JSON, order: Order = .unicode) -> [UInt8] {
        var key: [UInt8] = []
        value.encoded().withUnsafeBufferPointer { text in append(text, order: order, to: &key) }
        return key
    }

    /// What the keys of all arrays that begin with these values begin with.
    static func prefix(ofArray values: [JSON]) -> [UInt8] { bytes(for: .array(values)).dropLast() }

    /// Adds the key of a value that stands as JSON text.
    static func append(_ json: UnsafeBufferPointer<UInt8>, order: Order, to key: inout [UInt8]) {
        var builder = Builder(cursor: JSONCursor(json), order: order)
        builder.append(to: &key)
    }

    private struct Builder {
        var cursor: JSONCursor
        let order: Order
        var scratch: [UInt8] = []
        var depth = 0

        mutating func append(to key: inout [UInt8]) {
            // A function can emit what is nested deeper than any document; what lies below counts as null.
            guard depth < JSON.maximumDepth else {
                _ = cursor.skipValue()
                key.append(Tag.null(order))
                return
            }
            depth += 1
            defer { depth -= 1 }
            switch cursor.peek() {
            case UInt8(ascii: "n"):
                _ = cursor.skipValue()
                key.append(Tag.null(order))
            case UInt8(ascii: "f"):
                _ = cursor.skipValue()
                key.append(Tag.no(order))
            case UInt8(ascii: "t"):
                _ = cursor.skipValue()
                key.append(Tag.yes(order))
            case UInt8(ascii: "\""): string(to: &key)
            case UInt8(ascii: "["):
                key.append(Tag.array(order))
                cursor.position += 1
                while cursor.peek() != UInt8(ascii: "]"), cursor.position < cursor.bytes.count {
                    let start = cursor.position
                    append(to: &key)
                    // What can not begin a value is passed over, so that no text keeps this going.
                    if !cursor.take(UInt8(ascii: ",")) && cursor.position == start { cursor.position += 1 }
                }
                cursor.position += 1
                key.append(end)
            case UInt8(ascii: "{"):
                key.append(Tag.object(order))
                cursor.position += 1
                while cursor.peek() == UInt8(ascii: "\"") {
                    string(to: &key)
                    _ = cursor.take(UInt8(ascii: ":"))
                    append(to: &key)
                    _ = cursor.take(UInt8(ascii: ","))
                }
                cursor.position += 1
                key.append(end)
            default: number(to: &key)
            }
        }

        private mutating func string(to key: inout [UInt8]) {
            key.append(Tag.string(order))
            let order = order
            cursor.string(&scratch) { text in
                switch order {
                case .unicode: Collator.root.appendSortKey(of: text, to: &key)
                case .raw: CollationKey.appendEscaped(text, to: &key)
                }
            }
        }

        private mutating func number(to key: inout [UInt8]) {
            key.append(Tag.number(order))
            let value = cursor.number()
            // Order-preserving bits: negative numbers upside down, the others above them. Zero has one form.
            let bits = value == 0 ? 0 : value.bitPattern
            let ordered = bits >> 63 == 1 ? ~bits : bits | 1 << 63
            withUnsafeBytes(of: ordered.bigEndian) { key.append(contentsOf: $0) }
        }
    }

    /// Adds bytes so that they end by themselves and keep their order: a zero byte is followed by 0xFF, the end is two
    /// zero bytes.
    static func appendEscaped(_ text: some Sequence<UInt8>, to key: inout [UInt8]) {
        for byte in text {
            key.append(byte)
            if byte == 0 { key.append(0xFF) }
        }
        key.append(0)
        key.append(0)
    }

    private enum Tag {
        static func null(_ order: Order) -> UInt8 { order == .unicode ? 1 : 3 }
        static func no(_ order: Order) -> UInt8 { order == .unicode ? 2 : 2 }
        static func yes(_ order: Order) -> UInt8 { order == .unicode ? 3 : 4 }
        static func number(_ order: Order) -> UInt8 { order == .unicode ? 4 : 1 }
        static func string(_ order: Order) -> UInt8 { order == .unicode ? 5 : 7 }
        static func array(_ order: Order) -> UInt8 { order == .unicode ? 6 : 6 }
        static func object(_ order: Order) -> UInt8 { order == .unicode ? 7 : 5 }
    }

    /// The beginning of an array's key that holds its first `level` elements: what such arrays have in common.
    /// `nil`: no array, or one of fewer elements; then only equal keys belong together.
    static func groupPrefix(of key: ArraySlice<UInt8>, level: Int, order: Order) -> ArraySlice<UInt8>? {
        guard key.first == Tag.array(order) else { return nil }
        var position = key.startIndex + 1
        for _ in 0..<level {
            guard position < key.endIndex, key[position] != end else { return nil }
            position = endOfValue(in: key, at: position, order: order)
        }
        return key[..<position]
    }

    private static func endOfValue(in key: ArraySlice<UInt8>, at start: Int, order: Order) -> Int {
        var position = start + 1
        switch key[start] {
        case Tag.number(order): return position + 8
        case Tag.string(order): return endOfString(in: key, at: position, order: order)
        case Tag.array(order):
            while key[position] != end { position = endOfValue(in: key, at: position, order: order) }
            return position + 1
        case Tag.object(order):
            while key[position] != end {
                position = endOfString(in: key, at: position + 1, order: order)
                position = endOfValue(in: key, at: position, order: order)
            }
            return position + 1
        default: return position
        }
    }

    private static func endOfString(in key: ArraySlice<UInt8>, at start: Int, order: Order) -> Int {
        var position = start
        while true {
            if key[position] == 0 {
                if order == .unicode { return position + 1 }
                if key[position + 1] == 0 { return position + 2 }
                position += 1
            }
            position += 1
        }
    }
}
