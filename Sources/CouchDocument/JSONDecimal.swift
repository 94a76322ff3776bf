#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A number that is no 64-bit integer, kept as the text that was written.
///
/// Two of them are equal when their texts are: `1.0` is not `1.00`. Compare ``doubleValue`` for the value.
public struct JSONDecimal: Hashable, Sendable {
    /// The number as JSON writes it, such as `1.0`, `6.02e23` or an integer beyond 64 bits.
    public let text: String

    /// Takes a text that the JSON grammar has already accepted as a number.
    init(validated text: String) { self.text = text }

    /// A finite double, written as CouchDB writes it (see ``canonicalText(of:)``); `nil` if it is not finite.
    public init?(_ value: Double) {
        guard value.isFinite else { return nil }
        text = Self.canonicalText(of: value)
    }

    /// Whether the text has neither fraction nor exponent: an integer beyond 64 bits.
    public var isInteger: Bool { !text.utf8.contains { $0 == 0x2E || $0 == 0x65 || $0 == 0x45 } }

    /// The nearest double; infinite when the number is beyond a double's range.
    public var doubleValue: Double { strtod(text, nil) }

    /// The text that CouchDB 3 gives a double: its shortest digits, always with a fraction or an exponent, the exponent
    /// form below 1e-6 and from 1e21 on, and no negative zero (`1e5` is `100000.0`, `1E-7` is `1e-7`).
    public static func canonicalText(of value: Double) -> String {
        if value == 0 { return "0.0" }
        // Swift prints the shortest digits too, with its own choice of notation: take the digits and place the point.
        let parts = value.magnitude.description.split(separator: "e")
        let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        var digits = String(mantissa[0]) + (mantissa.count > 1 ? String(mantissa[1]) : "")
        var point = mantissa[0].count + (parts.count > 1 ? Int(parts[1]) ?? 0 : 0)
        let leadingZeros = digits.prefix { $0 == "0" }.count
        digits.removeFirst(leadingZeros)
        point -= leadingZeros
        while digits.last == "0" { digits.removeLast() }
        let sign = value < 0 ? "-" : ""
        if point > 21 || point < -5 {
            let fraction = digits.dropFirst()
            let exponent = point - 1
            return sign + digits.prefix(1) + (fraction.isEmpty ? "" : "." + fraction)
                + "e" + (exponent < 0 ? "-" : "+") + String(exponent.magnitude)
        }
        if point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + digits }
        if digits.count <= point {
            return sign + digits + String(repeating: "0", count: point - digits.count) + ".0"
        }
        return sign + digits.prefix(point) + "." + digits.dropFirst(point)
    }
}
