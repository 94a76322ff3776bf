import CouchDocument

/// A query string as Data Dispatcher's clients send it: values are not escaped, so `&` and `+` may belong to a name.
struct RawQuery: Sendable {
    private var values: [String: String] = [:]

    /// Reads the parameters of these names. A part that begins with none of them belongs to the value before it.
    ///
    /// - Parameter last: The parameter that is followed by no name that people choose: what seems to be it earlier belongs
    ///   to the value before.
    init(_ text: Substring, _ names: [String], endingWith last: String? = nil) throws(GatewayRefusal) {
        var parts: [(name: String, text: String)] = []
        let pieces = text.split(separator: "&", omittingEmptySubsequences: false)
        let finalStart = last.flatMap { last in pieces.lastIndex { $0.hasPrefix(last + "=") } }
        for (index, piece) in pieces.enumerated() {
            let name = names.first { piece.hasPrefix($0 + "=") }
            let isLater = finalStart.map { index < $0 && index > 0 } ?? false
            if let name, !isLater {
                parts.append((name, String(piece.dropFirst(name.utf8.count + 1))))
            } else if !parts.isEmpty {
                parts[parts.count - 1].text += "&" + piece
            }
        }
        for (name, text) in parts { values[name] = try Self.decoded(text[...]) }
    }

    /// The value of that name; `nil` when it is missing.
    subscript(name: String) -> String? { values[name] }

    /// The value of a parameter that must be there.
    func required(_ name: String) throws(GatewayRefusal) -> String {
        guard let value = values[name], !value.isEmpty else { throw .badRequest("\(name) is missing") }
        return value
    }

    /// A parameter that is `yes` or `no`.
    func flag(_ name: String, default fallback: Bool) throws(GatewayRefusal) -> Bool {
        switch values[name]?.lowercased() {
        case nil, ""?: return fallback
        case "yes"?, "true"?, "1"?: return true
        case "no"?, "false"?, "0"?: return false
        case let other?: throw .badRequest("\(name) is yes or no, not \"\(other)\"")
        }
    }

    /// Decodes `%41`; a `%` that begins no such thing is itself, and so is `+`.
    static func decoded(_ text: Substring) throws(GatewayRefusal) -> String {
        func digit(_ byte: UInt8) -> UInt8? {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
            default: nil
            }
        }
        let units = Array(text.utf8)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(units.count)
        var index = 0
        while index < units.count {
            if units[index] == UInt8(ascii: "%"), index + 2 < units.count, let high = digit(units[index + 1]),
                let low = digit(units[index + 2])
            {
                bytes.append(high << 4 | low)
                index += 3
            } else {
                bytes.append(units[index])
                index += 1
            }
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw .badRequest("the address is no UTF-8")
        }
        return decoded
    }
}
