import CouchDocument

/// The hash of a revision in few bytes: 32 lower-case hex digits as the 16 bytes they stand for, anything else as text.
///
/// The order is that of the texts bytewise.
enum RevisionHash: Hashable, Sendable {
    /// The bytes in two halves, most significant first.
    case digest(UInt64, UInt64)
    /// Any other text.
    case text(String)

    init(_ hash: String) {
        guard hash.utf8.count == 32 else {
            self = .text(hash)
            return
        }
        var high: UInt64 = 0
        var low: UInt64 = 0
        var count = 0
        for digit in hash.utf8 {
            let value: UInt8
            switch digit {
            case 0x30...0x39: value = digit - 0x30
            case 0x61...0x66: value = digit - 0x57
            default:
                self = .text(hash)
                return
            }
            if count < 16 { high = high << 4 | UInt64(value) } else { low = low << 4 | UInt64(value) }
            count += 1
        }
        self = .digest(high, low)
    }

    var text: String {
        switch self {
        case .text(let text): return text
        case .digest(let high, let low):
            return String(unsafeUninitializedCapacity: 32) { digits in
                for index in 0..<32 {
                    let half = index < 16 ? high : low
                    let value = UInt8(truncatingIfNeeded: half >> UInt64((15 - index & 15) * 4)) & 15
                    digits[index] = value < 10 ? 0x30 + value : 0x57 + value
                }
                return 32
            }
        }
    }
}

extension RevisionHash: Comparable {
    static func < (left: RevisionHash, right: RevisionHash) -> Bool {
        if case .digest(let leftHigh, let leftLow) = left, case .digest(let rightHigh, let rightLow) = right {
            return leftHigh != rightHigh ? leftHigh < rightHigh : leftLow < rightLow
        }
        return left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }
}
