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
    public init?(_ text: some StringProtocol) {
        guard let dash = text.firstIndex(of: "-") else { return nil }
        let number = text[..<dash]
        let rest = text[text.index(after: dash)...]
        guard !rest.isEmpty, !number.isEmpty, number.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let generation = Int(number), generation <= Self.maximumGeneration
        else { return nil }
        self.init(generation: generation, hash: String(rest))
    }
}

extension Revision: CustomStringConvertible {
    /// The revision as it stands in documents.
    public var description: String { "\(generation)-\(hash)" }
}

extension Revision: Comparable {
    /// CouchDB's order among leaves of one kind: the greater revision wins. By generation, then by hash bytewise.
    public static func < (left: Revision, right: Revision) -> Bool {
        if left.generation != right.generation { return left.generation < right.generation }
        return left.hash.utf8.lexicographicallyPrecedes(right.hash.utf8)
    }
}
