/// Decompresses gzip (RFC 1952) as clients send request bodies. Written out here because requests are its only use and
/// zlib would be one more library on every machine.
enum Gzip {
    /// The plain bytes of all members; `nil` when the text is no whole gzip stream or grows beyond the limit.
    static func decompress(_ input: some Collection<UInt8>, limit: Int) -> [UInt8]? {
        var reader = BitReader(bytes: Array(input))
        var output: [UInt8] = []
        repeat {
            guard skipHeader(&reader), Inflate.run(&reader, into: &output, limit: limit) else { return nil }
            reader.alignToByte()
            guard let _ = reader.bits(16), let _ = reader.bits(16), let low = reader.bits(16),
                let high = reader.bits(16)
            else { return nil }
            // Members are rare, so the length is checked for a single one only.
            if reader.isAtEnd && UInt32(truncatingIfNeeded: output.count) != low | high << 16 { return nil }
        } while !reader.isAtEnd
        return output
    }

    private static func skipHeader(_ reader: inout BitReader) -> Bool {
        guard reader.bits(8) == 0x1F, reader.bits(8) == 0x8B, reader.bits(8) == 8, let flags = reader.bits(8) else {
            return false
        }
        for _ in 0..<6 where reader.bits(8) == nil { return false }
        if flags & 4 != 0 {
            guard let length = reader.bits(16) else { return false }
            for _ in 0..<length where reader.bits(8) == nil { return false }
        }
        for flag in [8, 16] as [UInt32] where flags & flag != 0 {
            while true {
                guard let byte = reader.bits(8) else { return false }
                if byte == 0 { break }
            }
        }
        return flags & 2 == 0 || reader.bits(16) != nil
    }
}

/// Reads bits from the low end of each byte.
private struct BitReader {
    let bytes: [UInt8]
    private var position = 0
    private var buffer: UInt32 = 0
    private var available = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position >= bytes.count && available == 0 }

    /// The next bits, at most 16; `nil` at the end.
    mutating func bits(_ count: Int) -> UInt32? {
        while available < count {
            guard position < bytes.count else { return nil }
            buffer |= UInt32(bytes[position]) << UInt32(available)
            position += 1
            available += 8
        }
        let value = buffer & ((1 << UInt32(count)) - 1)
        buffer >>= UInt32(count)
        available -= count
        return value
    }

    mutating func alignToByte() {
        buffer >>= UInt32(available & 7)
        available -= available & 7
    }
}

/// DEFLATE (RFC 1951).
private enum Inflate {
    /// A canonical Huffman code: how many codes there are of each length, and the symbols in the codes' order.
    struct Code {
        var counts = [Int](repeating: 0, count: 16)
        var symbols: [Int] = []

        init(lengths: [Int]) {
            for length in lengths where length > 0 { counts[length] += 1 }
            symbols = lengths.indices.filter { lengths[$0] > 0 }.sorted { (lengths[$0], $0) < (lengths[$1], $1) }
        }

        func next(_ reader: inout BitReader) -> Int? {
            var code = 0
            var first = 0
            var index = 0
            for length in 1...15 {
                guard let bit = reader.bits(1) else { return nil }
                code |= Int(bit)
                let count = counts[length]
                if code - count < first { return symbols[index + code - first] }
                index += count
                first = (first + count) << 1
                code <<= 1
            }
            return nil
        }
    }

    static let lengthBases = [
        3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227,
        258,
    ]
    static let lengthExtras = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0]
    static let distanceBases = [
        1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097,
        6145,
        8193, 12289, 16385, 24577,
    ]
    static let fixed = (
        Code(lengths: (0..<288).map { $0 < 144 ? 8 : $0 < 256 ? 9 : $0 < 280 ? 7 : 8 }),
        Code(lengths: [Int](repeating: 5, count: 30))
    )

    static func run(_ reader: inout BitReader, into output: inout [UInt8], limit: Int) -> Bool {
        while true {
            guard let isLast = reader.bits(1), let kind = reader.bits(2) else { return false }
            let isGood =
                switch kind {
                case 0: stored(&reader, &output, limit)
                case 1: block(&reader, &output, limit, fixed.0, fixed.1)
                case 2: dynamic(&reader, &output, limit)
                default: false
                }
            guard isGood else { return false }
            if isLast == 1 { return true }
        }
    }

    private static func stored(_ reader: inout BitReader, _ output: inout [UInt8], _ limit: Int) -> Bool {
        reader.alignToByte()
        guard let length = reader.bits(16), let check = reader.bits(16), length == ~check & 0xFFFF,
            output.count + Int(length) <= limit
        else { return false }
        for _ in 0..<length {
            guard let byte = reader.bits(8) else { return false }
            output.append(UInt8(byte))
        }
        return true
    }

    private static func dynamic(_ reader: inout BitReader, _ output: inout [UInt8], _ limit: Int) -> Bool {
        guard let literals = reader.bits(5), let distances = reader.bits(5), let codes = reader.bits(4) else {
            return false
        }
        let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
        var codeLengths = [Int](repeating: 0, count: 19)
        for index in 0..<Int(codes) + 4 {
            guard let length = reader.bits(3) else { return false }
            codeLengths[order[index]] = Int(length)
        }
        let code = Code(lengths: codeLengths)
        let total = Int(literals) + 257 + Int(distances) + 1
        var lengths: [Int] = []
        while lengths.count < total {
            guard let symbol = code.next(&reader) else { return false }
            switch symbol {
            case 16:
                guard let last = lengths.last, let more = reader.bits(2) else { return false }
                lengths += [Int](repeating: last, count: Int(more) + 3)
            case 17:
                guard let more = reader.bits(3) else { return false }
                lengths += [Int](repeating: 0, count: Int(more) + 3)
            case 18:
                guard let more = reader.bits(7) else { return false }
                lengths += [Int](repeating: 0, count: Int(more) + 11)
            default: lengths.append(symbol)
            }
        }
        guard lengths.count == total else { return false }
        let split = Int(literals) + 257
        return block(
            &reader, &output, limit, Code(lengths: Array(lengths[..<split])), Code(lengths: Array(lengths[split...])))
    }

    private static func block(
        _ reader: inout BitReader, _ output: inout [UInt8], _ limit: Int, _ literals: Code, _ distances: Code
    ) -> Bool {
        while true {
            guard let symbol = literals.next(&reader), output.count < limit else { return false }
            if symbol < 256 {
                output.append(UInt8(symbol))
                continue
            }
            if symbol == 256 { return true }
            guard symbol - 257 < lengthBases.count, let extra = reader.bits(lengthExtras[symbol - 257]),
                let place = distances.next(&reader), place < distanceBases.count,
                let more = reader.bits(max(0, place / 2 - 1))
            else { return false }
            let length = lengthBases[symbol - 257] + Int(extra)
            let distance = distanceBases[place] + Int(more)
            guard distance <= output.count, output.count + length <= limit else { return false }
            for _ in 0..<length { output.append(output[output.count - distance]) }
        }
    }
}
