import CouchDocument
import Crypto

/// The hash of a revision in few bytes: 32 lower-case hex digits as the 16 bytes they stand for, anything else as text.
///
/// The order is CouchDB's: that of the bytes, 16 of a digest or those of the text.
enum RevisionHash: Hashable, Sendable {
    /// The bytes in two halves, most significant first.
    case digest(UInt64, UInt64)
    /// Any other text.
    case text(String)

    init(_ hash: String) {
        var text = hash
        self = text.withUTF8 { Self.digest($0) } ?? .text(hash)
    }

    init(digest: Insecure.MD5Digest) {
        self = digest.withUnsafeBytes { bytes in
            .digest(
                UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        }
    }

    private static func digest(_ digits: UnsafeBufferPointer<UInt8>) -> RevisionHash? {
        guard digits.count == 32 else { return nil }
        func half(_ start: Int) -> UInt64? {
            var result: UInt64 = 0
            for index in start..<start + 16 {
                switch digits[index] {
                case 0x30...0x39: result = result << 4 | UInt64(digits[index] - 0x30)
                case 0x61...0x66: result = result << 4 | UInt64(digits[index] - 0x57)
                default: return nil
                }
            }
            return result
        }
        guard let high = half(0), let low = half(16) else { return nil }
        return .digest(high, low)
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

extension RevisionHash {
    fileprivate var bytes: [UInt8] {
        switch self {
        case .text(let text): Array(text.utf8)
        case .digest(let high, let low):
            [high, low].flatMap { half in (0..<8).map { UInt8(truncatingIfNeeded: half >> UInt64(56 - $0 * 8)) } }
        }
    }
}

extension RevisionHash: Comparable {
    static func < (left: RevisionHash, right: RevisionHash) -> Bool {
        if case .digest(let leftHigh, let leftLow) = left, case .digest(let rightHigh, let rightLow) = right {
            return leftHigh != rightHigh ? leftHigh < rightHigh : leftLow < rightLow
        }
        return left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}
