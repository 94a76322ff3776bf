import CouchDocument

/// At which revisions the tokens of a set were written, in the order in which they are made: 16 bytes a token.
///
/// Only what a new document gets from CouchDB and from us is noted: a first revision with 32 hex digits.
struct WrittenRevisions: Sendable {
    private typealias Digest = SIMD2<UInt64>
    /// Zero: not known.
    private var digests: [Digest]

    /// None is known yet.
    init(count: Int) { digests = Array(repeating: .zero, count: count) }

    /// Whether none is known.
    var isEmpty: Bool { digests.allSatisfy { $0 == .zero } }

    /// The revision of the token at a position, if it is known.
    subscript(position: Int) -> Revision? {
        guard digests.indices.contains(position), digests[position] != .zero else { return nil }
        let halves = [digests[position].x, digests[position].y].map { half in
            let digits = String(half, radix: 16)
            return String(repeating: "0", count: 16 - digits.utf8.count) + digits
        }
        return Revision(generation: 1, hash: halves.joined())
    }

    /// Notes the revision of the token at a position.
    mutating func note(_ revision: Revision, of position: Int) {
        guard digests.indices.contains(position), revision.generation == 1, revision.hash.utf8.count == 32,
            let high = UInt64(revision.hash.prefix(16), radix: 16),
            let low = UInt64(revision.hash.suffix(16), radix: 16)
        else { return }
        digests[position] = Digest(high, low)
    }

    /// Takes over those of a few tokens, the first of which stands at that position.
    mutating func take(_ others: WrittenRevisions, from first: Int) {
        for (offset, digest) in others.digests.enumerated() where digests.indices.contains(first + offset) {
            digests[first + offset] = digest
        }
    }
}
