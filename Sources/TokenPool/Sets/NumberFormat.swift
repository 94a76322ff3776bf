import CouchDocument
import Foundation

/// How a placeholder writes a number: `05` for five digits with leading zeros, `.2` for two digits after the point.
struct NumberFormat: Hashable, Sendable {
    private let width: Int
    private let fraction: Int?

    /// Reads `WIDTH`, `.FRACTION` or both; a `d` or `f` at the end, as in Python, is fine.
    init?(_ text: String) {
        var rest = Substring(text)
        if rest.last == "d" || rest.last == "f" { rest.removeLast() }
        let parts = rest.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, !rest.isEmpty else { return nil }
        guard parts[0].isEmpty || parts[0].allSatisfy(\.isNumber), let width = parts[0].isEmpty ? 0 : Int(parts[0]),
            width <= 100
        else { return nil }
        self.width = width
        if parts.count == 2 {
            guard let fraction = Int(parts[1]), (0...30).contains(fraction) else { return nil }
            self.fraction = fraction
        } else {
            fraction = nil
        }
    }

    /// The number, or a text that reads as one, in this format; `nil` for anything else.
    func text(of value: JSON) -> String? {
        let digits: String
        if let fraction {
            guard let number = value.numberValue ?? value.stringValue.flatMap(Double.init) else { return nil }
            digits = String(format: "%.\(fraction)f", number)
        } else if let number = value.intValue ?? value.stringValue.flatMap({ Int($0) }) {
            digits = String(number)
        } else if let number = value.numberValue {
            digits = JSONDecimal(number)?.text ?? ""
        } else {
            return nil
        }
        let isNegative = digits.hasPrefix("-")
        let magnitude = isNegative ? String(digits.dropFirst()) : digits
        let missing = width - digits.count
        return (isNegative ? "-" : "") + String(repeating: "0", count: max(0, missing)) + magnitude
    }
}
