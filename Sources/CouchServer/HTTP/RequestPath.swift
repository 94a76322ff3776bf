/// The path of a request: raw, and as segments that were percent-decoded one by one, so that `%2F` inside a name
/// belongs to the name.
package struct RequestPath: Sendable {
    /// As it was sent, without the query.
    package let raw: String
    /// Decoded, in order; empty ones (`//`, a slash at the end) are left out.
    package let segments: [String]

    /// Takes the path of a request target, which may also be an absolute URL.
    package init(_ raw: Substring) throws(Refusal) {
        self.raw = String(raw)
        var segments: [String] = []
        for part in raw.utf8.split(separator: UInt8(ascii: "/")) {
            guard let bytes = Self.decode(part) else { throw Refusal.badRequest("invalid_url_encoding") }
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw Refusal(400, "illegal_docid", "Document id must be valid UTF-8")
            }
            segments.append(text)
        }
        self.segments = segments
    }

    /// A path of names that are decoded already.
    init(segments: [String]) {
        raw = segments.map { "/" + Self.encode($0) }.joined()
        self.segments = segments
    }

    /// `%41` to `A` and `+` to a space, as CouchDB reads paths and query strings alike; `nil` for a bad escape.
    static func decode(_ part: some Sequence<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        var iterator = part.makeIterator()
        while let byte = iterator.next() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard let high = iterator.next().flatMap(hexDigit), let low = iterator.next().flatMap(hexDigit) else {
                    return nil
                }
                bytes.append(high << 4 | low)
            default: bytes.append(byte)
            }
        }
        return bytes
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// A name as CouchDB writes it into `Location`: letters, digits and `-_.:` stay, everything else is encoded.
    static func encode(_ name: String) -> String {
        var bytes: [UInt8] = []
        let hex = Array("0123456789ABCDEF".utf8)
        for unit in name.utf8 {
            switch unit {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: ":"):
                bytes.append(unit)
            default: bytes.append(contentsOf: [UInt8(ascii: "%"), hex[Int(unit >> 4)], hex[Int(unit & 15)]])
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
