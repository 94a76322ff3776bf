/// Durations and sizes as people write them.
package enum Quantity {
    /// Seconds of `90`, `90s`, `5m`, `1h30m`, `2d` or `1w`; `nil` for anything else.
    package static func seconds(_ text: String) -> Int? {
        let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]
        if let plain = Int(text) { return plain >= 0 ? plain : nil }
        var total = 0
        var digits = ""
        for character in text where !character.isWhitespace {
            if character.isASCII && character.isNumber {
                digits.append(character)
            } else {
                guard let unit = units[character], let count = Int(digits) else { return nil }
                let (product, overflow) = count.multipliedReportingOverflow(by: unit)
                let (sum, overflow2) = total.addingReportingOverflow(product)
                guard !overflow && !overflow2 else { return nil }
                total = sum
                digits = ""
            }
        }
        return digits.isEmpty && !text.isEmpty ? total : nil
    }

    /// Bytes of `4096`, `10K`, `8G`, `1.5GiB` (powers of 1024) or `10kB`, `8GB` (powers of 1000); `nil` for anything else.
    package static func bytes(_ text: String) -> Int? {
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = text.dropFirst(number.count).drop { $0.isWhitespace }.lowercased()
        guard let value = Double(number) else { return nil }
        var factor = 1.0
        if !unit.isEmpty && unit != "b" {
            guard let first = unit.first, let power = "kmgtp".firstIndex(of: first) else { return nil }
            let exponent = "kmgtp".distance(from: "kmgtp".startIndex, to: power) + 1
            let base: Double
            switch unit.dropFirst() {
            case "", "i", "ib": base = 1024
            case "b": base = 1000
            default: return nil
            }
            for _ in 0..<exponent { factor *= base }
        }
        let bytes = value * factor
        return bytes < 9e18 ? Int(bytes) : nil
    }
}
