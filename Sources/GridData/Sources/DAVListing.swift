import CouchDocument

/// What a `PROPFIND` answers (RFC 4918, 207): which places there are, and which of them are collections.
///
/// Reads just so much of XML as that takes: elements by their local names, text, entities and CDATA.
struct DAVListing {
    /// A place: its path, percent-decoded, and whether it is a collection.
    struct Place: Hashable {
        var path: String
        var isCollection: Bool
    }

    /// What is wrong with an answer.
    struct Fault: Error { let reason: String }

    /// Reads the whole answer.
    static func places(in body: [UInt8]) throws -> [Place] {
        var reader = DAVListing(bytes: body)
        return try reader.read()
    }

    private let bytes: [UInt8]
    private var position = 0
    private var open: [String] = []
    private var text: [UInt8] = []
    private var href: String?
    private var isCollection = false
    private var found: [Place] = []

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private mutating func read() throws -> [Place] {
        var hasRoot = false
        while position < bytes.count {
            if bytes[position] != UInt8(ascii: "<") {
                let end = bytes[position...].firstIndex(of: UInt8(ascii: "<")) ?? bytes.count
                if open.last == "href" { text += try Self.unescaped(bytes[position..<end]) }
                position = end
                continue
            }
            if starts(with: "<!--") {
                try skip(past: "-->")
            } else if starts(with: "<![CDATA[") {
                let start = position + 9
                try skip(past: "]]>")
                if open.last == "href" { text += bytes[start..<position - 3] }
            } else if starts(with: "<?") {
                try skip(past: "?>")
            } else if starts(with: "<!") {
                try skip(past: ">")
            } else {
                let start = position + 1
                try skip(past: ">")
                let tag = bytes[start..<position - 1]
                if open.isEmpty {
                    guard !hasRoot, Self.localName(tag) == "multistatus" else {
                        throw Fault(reason: "it is no multistatus")
                    }
                    hasRoot = true
                }
                try take(tag)
            }
        }
        guard hasRoot, open.isEmpty else { throw Fault(reason: "the answer is cut short") }
        return found
    }

    private mutating func take(_ tag: ArraySlice<UInt8>) throws {
        let name = Self.localName(tag)
        if tag.first == UInt8(ascii: "/") {
            guard open.popLast() == name else { throw Fault(reason: "</\(name)> closes what is not open") }
            switch name {
            case "href" where open.last == "response":
                href = Self.path(of: String(decoding: text, as: UTF8.self))
            case "response":
                if let href { found.append(Place(path: href, isCollection: isCollection)) }
            default: break
            }
            return
        }
        switch name {
        case "response": (href, isCollection) = (nil, false)
        case "href": text = []
        case "collection" where open.last == "resourcetype": isCollection = true
        default: break
        }
        if tag.last != UInt8(ascii: "/") { open.append(name) }
        guard open.count < 100 else { throw Fault(reason: "it is nested too deeply") }
    }

    private func starts(with text: StaticString) -> Bool {
        bytes[position...].starts(with: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func skip(past text: StaticString) throws {
        let wanted = Array(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        var next = position
        while let start = bytes[next...].firstIndex(of: wanted[0]) {
            if bytes[start...].starts(with: wanted) {
                position = start + wanted.count
                return
            }
            next = start + 1
        }
        throw Fault(reason: "the answer is cut short")
    }

    /// The name of a tag without prefix and attributes.
    private static func localName(_ tag: ArraySlice<UInt8>) -> String {
        var name = tag.drop { $0 == UInt8(ascii: "/") }
        name = name.prefix { $0 > 0x20 && $0 != UInt8(ascii: "/") }
        if let colon = name.firstIndex(of: UInt8(ascii: ":")) { name = name[(colon + 1)...] }
        return String(decoding: name, as: UTF8.self)
    }

    private static func unescaped(_ text: ArraySlice<UInt8>) throws -> [UInt8] {
        var result: [UInt8] = []
        var rest = text
        while let start = rest.firstIndex(of: UInt8(ascii: "&")) {
            result += rest[..<start]
            guard let end = rest[start...].firstIndex(of: UInt8(ascii: ";")) else {
                throw Fault(reason: "an entity has no end")
            }
            let name = String(decoding: rest[(start + 1)..<end], as: UTF8.self)
            switch name {
            case "amp": result.append(UInt8(ascii: "&"))
            case "lt": result.append(UInt8(ascii: "<"))
            case "gt": result.append(UInt8(ascii: ">"))
            case "quot": result.append(UInt8(ascii: "\""))
            case "apos": result.append(UInt8(ascii: "'"))
            default:
                let isHex = name.hasPrefix("#x")
                guard name.hasPrefix("#"), let code = UInt32(name.dropFirst(isHex ? 2 : 1), radix: isHex ? 16 : 10),
                    let scalar = Unicode.Scalar(code)
                else { throw Fault(reason: "&\(name); is not known") }
                result += Array(String(scalar).utf8)
            }
            rest = rest[(end + 1)...]
        }
        return result + rest
    }

    /// The path of a reference, which may be a whole URL, percent-decoded and without a slash at its end.
    private static func path(of reference: String) -> String? {
        let text = reference.drop(while: \.isWhitespace).prefix { !$0.isWhitespace }
        var path = text.hasPrefix("/") ? text : WebAddress.split(String(text)).map { $0.path[...] } ?? text
        path = path.prefix { $0 != "?" }
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        return decoded(path)
    }
}

extension DAVListing {
    /// A path without percent signs; `nil` when that is no text.
    static func decoded(_ path: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = path.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            guard digits.count == 2, let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
