extension String {
    /// The text as one segment of a URL path: everything but RFC 3986's unreserved characters is percent-encoded, `/`
    /// and `+` included (CouchDB reads `+` in a path as a space).
    public var percentEncodedSegment: String {
        var bytes: [UInt8] = []
        let hex = Array("0123456789ABCDEF".utf8)
        for unit in utf8 {
            switch unit {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                bytes.append(unit)
            default: bytes.append(contentsOf: [UInt8(ascii: "%"), hex[Int(unit >> 4)], hex[Int(unit & 15)]])
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The id of a document as a path below its database: the slash after `_design` and `_local` stays, others do not.
    public var percentEncodedDocumentPath: String {
        for prefix in ["_design/", "_local/"] where hasPrefix(prefix) {
            return prefix + String(dropFirst(prefix.count)).percentEncodedSegment
        }
        return percentEncodedSegment
    }
}
