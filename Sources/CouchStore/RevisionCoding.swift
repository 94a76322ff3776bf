import CouchDocument

// How revisions and trees are kept in the database. A revision: its generation as a variable-length number, then its
// hash. A hash: 16 bytes, or a length and text. A tree: its nodes in order, each a byte of flags, then what the flags
// do not say: the step in generation, the step back to the parent, the hash.

/// Gathers the bytes.
struct RevisionEncoder {
    private(set) var bytes: [UInt8] = []

    mutating func reserve(_ count: Int) { bytes.reserveCapacity(count) }

    mutating func number(_ value: Int) {
        var rest = UInt(bitPattern: value)
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    mutating func byte(_ value: UInt8) { bytes.append(value) }

    mutating func hash(_ hash: RevisionHash) {
        switch hash {
        case .digest(let high, let low):
            withUnsafeBytes(of: high.bigEndian) { bytes.append(contentsOf: $0) }
            withUnsafeBytes(of: low.bigEndian) { bytes.append(contentsOf: $0) }
        case .text(let text):
            number(text.utf8.count)
            bytes.append(contentsOf: text.utf8)
        }
    }
}

/// Reads them back. The bytes are our own, so what is cut short can only come from a damaged file; it reads as zeros.
struct RevisionDecoder {
    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var isAtEnd: Bool { position >= bytes.count }

    mutating func byte() -> UInt8 {
        guard position < bytes.count else { return 0 }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func number() -> Int {
        var result: UInt = 0
        var shift: UInt = 0
        while true {
            let next = byte()
            result |= UInt(next & 0x7F) << shift
            if next < 0x80 || shift > 56 { return Int(bitPattern: result) }
            shift += 7
        }
    }

    mutating func digest() -> RevisionHash {
        guard position + 16 <= bytes.count else {
            position = bytes.count
            return .digest(0, 0)
        }
        defer { position += 16 }
        return .digest(
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self)),
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: position + 8, as: UInt64.self)))
    }

    mutating func text() -> RevisionHash {
        let count = max(0, number())
        let start = position
        position = min(bytes.count, start + count)
        return .text(String(decoding: bytes[start..<position], as: UTF8.self))
    }
}

extension Revision {
    /// The revision in about 18 bytes. The first byte's low bit tells a text from a digest.
    var encoded: [UInt8] { Self.encoded(generation: generation, RevisionHash(hash)) }

    static func encoded(generation: Int, _ hash: RevisionHash) -> [UInt8] {
        var encoder = RevisionEncoder()
        encoder.reserve(24)
        if case .text = hash { encoder.number(generation << 1 | 1) } else { encoder.number(generation << 1) }
        encoder.hash(hash)
        return encoder.bytes
    }

    /// Reads ``encoded``.
    init(decoding bytes: UnsafeRawBufferPointer) {
        var decoder = RevisionDecoder(bytes)
        let head = decoder.number()
        let hash = head & 1 == 0 ? decoder.digest() : decoder.text()
        self.init(generation: head >> 1, hash: hash.text)
    }
}

extension RevisionTree {
    private enum Flag {
        static let deleted: UInt8 = 1
        static let text: UInt8 = 2
        /// The generation is the last node's plus one; otherwise the step follows.
        static let nextGeneration: UInt8 = 4
        /// The parent is the last node; otherwise the step back follows, 0 for a root.
        static let lastIsParent: UInt8 = 8
    }

    /// The tree in about 17 bytes a revision.
    package func encoded() -> [UInt8] {
        var encoder = RevisionEncoder()
        var generation = 0
        for (position, node) in nodes.enumerated() {
            var flags: UInt8 = 0
            if node.isDeleted { flags |= Flag.deleted }
            if case .text = node.hash { flags |= Flag.text }
            if node.generation == generation + 1 { flags |= Flag.nextGeneration }
            if position > 0 && node.parent == position - 1 { flags |= Flag.lastIsParent }
            encoder.byte(flags)
            if flags & Flag.nextGeneration == 0 { encoder.number(node.generation - generation) }
            if flags & Flag.lastIsParent == 0 { encoder.number(node.parent < 0 ? 0 : position - node.parent) }
            encoder.hash(node.hash)
            generation = node.generation
        }
        return encoder.bytes
    }

    /// Reads what ``encoded()`` wrote.
    package init(decoding bytes: [UInt8]) {
        self = bytes.withUnsafeBytes { RevisionTree(decoding: $0) }
    }

    /// Reads what ``encoded()`` wrote.
    init(decoding bytes: UnsafeRawBufferPointer) {
        var decoder = RevisionDecoder(bytes)
        var nodes: [Node] = []
        nodes.reserveCapacity(bytes.count / 17 + 1)
        var generation = 0
        while !decoder.isAtEnd {
            let flags = decoder.byte()
            generation += flags & Flag.nextGeneration != 0 ? 1 : decoder.number()
            let position = nodes.count
            var parent = position - 1
            if flags & Flag.lastIsParent == 0 {
                let step = decoder.number()
                parent = step == 0 ? -1 : max(-1, position - step)
            }
            let hash = flags & Flag.text != 0 ? decoder.text() : decoder.digest()
            nodes.append(
                Node(generation: generation, hash: hash, parent: parent, isDeleted: flags & Flag.deleted != 0))
        }
        self.init(nodes: nodes)
    }
}
