/// A revision of a document: how many edits led to it, and a digest of the last one. Written `3-917fa2381192822767f0…`.
public struct Revision: Hashable, Sendable {
    /// The number of edits on the way here; 1 for a new document, 0 only in `_local` documents.
    public let generation: Int
    /// What stands after the first dash: 32 hex digits from CouchDB and from us, any text from others.
    public let hash: String

    /// A revision of these parts.
    public init(generation: Int, hash: String) {
        self.generation = generation
        self.hash = hash
    }

    /// The greatest generation that is read. No history gets there by edits, and beyond it counting on would overflow.
    public static let maximumGeneration = 1 << 53

    /// Reads `N-text`. `nil` when that is not what it is: no number, no dash or nothing behind it.
    public init?(_ text: some StringProtocol) { self.init(String(text)) }

    /// Reads `N-text`; see ``init(_:)-(StringProtocol)``.
    public init?(_ text: String) {
        let units = text.utf8
        guard let dash = units.firstIndex(of: UInt8(ascii: "-")), dash != units.startIndex else { return nil }
        let start = units.index(after: dash)
        var generation = 0
        for digit in units[..<dash] {
            guard (0x30...0x39).contains(digit) else { return nil }
            generation = generation * 10 + Int(digit - 0x30)
            if generation > Self.maximumGeneration { return nil }
        }
        guard start != units.endIndex else { return nil }
        self.init(generation: generation, hash: String(text[start...]))
    }
}

extension Revision: CustomStringConvertible {
    /// The revision as it stands in documents.
    public var description: String { "\(generation)-\(hash)" }
}

extension Revision: Comparable {
    /// CouchDB's order among leaves of one kind: the greater revision wins. By generation, then by hash bytewise, where 32
    /// hex digits are the 16 bytes that they stand for.
    public static func < (left: Revision, right: Revision) -> Bool {
        if left.generation != right.generation { return left.generation < right.generation }
        let (leftDigest, rightDigest) = (left.digest, right.digest)
        // Among digests, and among texts, the order of the bytes is that of the texts.
        if (leftDigest == nil) == (rightDigest == nil) {
            return left.hash.utf8.lexicographicallyPrecedes(right.hash.utf8)
        }
        return (leftDigest ?? Array(left.hash.utf8)).lexicographicallyPrecedes(rightDigest ?? Array(right.hash.utf8))
    }

    /// The bytes of 32 lower-case hex digits; `nil` for any other hash.
    private var digest: [UInt8]? {
        guard hash.utf8.count == 32 else { return nil }
        var bytes: [UInt8] = []
        var high: UInt8?
        for digit in hash.utf8 {
            let value: UInt8
            switch digit {
            case 0x30...0x39: value = digit - 0x30
            case 0x61...0x66: value = digit - 0x57
            default: return nil
            }
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return bytes
    }
}
