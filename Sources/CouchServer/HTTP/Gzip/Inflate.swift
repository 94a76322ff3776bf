/// DEFLATE (RFC 1951), a piece at a time.
struct Inflate: Sendable {
    enum Step {
        case malformed
        /// Decompressed all that was there.
        case needsInput([UInt8])
        /// A piece is full; there is more.
        case full([UInt8])
        case end([UInt8])
    }

    private enum Block {
        case none
        case stored(left: Int)
        case coded(literals: HuffmanCode, distances: HuffmanCode)
    }

    private static let pieceSize = 256 << 10
    /// How far back a copy can reach.
    private static let windowSize = 32 << 10

    private var block = Block.none
    private var isLast = false
    /// The window, and behind it what was not handed out yet.
    private var output: [UInt8] = []
    private var handedOut = 0

    init() {}

    private mutating func take() -> [UInt8] {
        let piece = Array(output[handedOut...])
        if output.count > 4 * Self.windowSize { output.removeFirst(output.count - Self.windowSize) }
        handedOut = output.count
        return piece
    }

    /// Goes on until a piece is full, the input is used up or the stream ends.
    mutating func run(_ reader: inout BitReader) -> Step {
        while true {
            if output.count - handedOut >= Self.pieceSize { return .full(take()) }
            switch block {
            case .none:
                if isLast { return .end(take()) }
                // The longest description of codes has less than this.
                guard reader.has(bytes: 1024) else { return .needsInput(take()) }
                guard begin(&reader) else { return .malformed }
            case .stored(let left):
                guard reader.has(bytes: 8) else { return .needsInput(take()) }
                guard left > 0 else {
                    block = .none
                    continue
                }
                guard let byte = reader.bits(8) else { return .malformed }
                output.append(UInt8(truncatingIfNeeded: byte))
                block = .stored(left: left - 1)
            case .coded(let literals, let distances):
                switch symbols(&reader, literals, distances) {
                case nil: return .malformed
                case false?: return .needsInput(take())
                case true?: break
                }
            }
        }
    }

    /// The head of a block.
    private mutating func begin(_ reader: inout BitReader) -> Bool {
        guard let last = reader.bits(1), let kind = reader.bits(2) else { return false }
        isLast = last == 1
        switch kind {
        case 0:
            reader.alignToByte()
            guard let length = reader.bits(16), let check = reader.bits(16), length == ~check & 0xFFFF else {
                return false
            }
            block = .stored(left: Int(length))
        case 1: block = .coded(literals: Self.fixed.literals, distances: Self.fixed.distances)
        case 2:
            guard let codes = Self.codes(&reader) else { return false }
            block = .coded(literals: codes.literals, distances: codes.distances)
        default: return false
        }
        return true
    }

    private static func codes(_ reader: inout BitReader) -> (literals: HuffmanCode, distances: HuffmanCode)? {
        guard let literals = reader.bits(5), let distances = reader.bits(5), let count = reader.bits(4) else {
            return nil
        }
        let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
        var codeLengths = [Int](repeating: 0, count: 19)
        for index in 0..<Int(count) + 4 {
            guard let length = reader.bits(3) else { return nil }
            codeLengths[order[index]] = Int(length)
        }
        guard let code = HuffmanCode(lengths: codeLengths) else { return nil }
        let split = Int(literals) + 257
        let total = split + Int(distances) + 1
        var lengths: [Int] = []
        while lengths.count < total {
            guard let symbol = code.next(&reader) else { return nil }
            switch symbol {
            case 16:
                guard let last = lengths.last, let more = reader.bits(2) else { return nil }
                lengths += [Int](repeating: last, count: Int(more) + 3)
            case 17:
                guard let more = reader.bits(3) else { return nil }
                lengths += [Int](repeating: 0, count: Int(more) + 3)
            case 18:
                guard let more = reader.bits(7) else { return nil }
                lengths += [Int](repeating: 0, count: Int(more) + 11)
            default: lengths.append(symbol)
            }
        }
        guard lengths.count == total, let first = HuffmanCode(lengths: Array(lengths[..<split])),
            let second = HuffmanCode(lengths: Array(lengths[split...]))
        else { return nil }
        return (first, second)
    }

    /// Decompresses within a block: `true` when it ended or a piece is full, `false` when input is missing.
    private mutating func symbols(_ reader: inout BitReader, _ literals: HuffmanCode, _ distances: HuffmanCode) -> Bool?
    {
        while output.count - handedOut < Self.pieceSize {
            // A symbol with its distance has at most 48 bits.
            guard reader.has(bytes: 8) else { return false }
            guard let symbol = literals.next(&reader) else { return nil }
            if symbol < 256 {
                output.append(UInt8(truncatingIfNeeded: symbol))
                continue
            }
            if symbol == 256 {
                block = .none
                return true
            }
            guard symbol - 257 < Self.lengthBases.count, let extra = reader.bits(Self.lengthExtras[symbol - 257]),
                let place = distances.next(&reader), place < Self.distanceBases.count,
                let more = reader.bits(max(0, place / 2 - 1))
            else { return nil }
            let length = Self.lengthBases[symbol - 257] + Int(extra)
            let distance = Self.distanceBases[place] + Int(more)
            guard distance <= min(output.count, Self.windowSize) else { return nil }
            for _ in 0..<length { output.append(output[output.count - distance]) }
        }
        return true
    }

    private static let lengthBases = [
        3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227,
        258,
    ]
    private static let lengthExtras = [
        0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
    ]
    private static let distanceBases = [
        1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097,
        6145, 8193, 12289, 16385, 24577,
    ]
    private static let fixed = (
        literals: HuffmanCode(lengths: (0..<288).map { $0 < 144 ? 8 : $0 < 256 ? 9 : $0 < 280 ? 7 : 8 })!,
        distances: HuffmanCode(lengths: [Int](repeating: 5, count: 30))!
    )
}
