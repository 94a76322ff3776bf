import Dispatch

/// Decompresses gzip (RFC 1952) as clients send request bodies. Written out here because requests are its only use and
/// zlib would be one more library on every machine.
enum Gzip {
    /// What is wrong with the input.
    enum Fault: Error {
        /// It is no gzip stream, is cut short, or its check sums do not fit.
        case malformed
        /// It grows beyond the limit.
        case tooLarge
    }

    /// The plain bytes of all members, at most `limit`. Never takes much more memory than what it gives.
    ///
    /// Runs on a thread of its own: what is malicious takes long.
    static func decompress(_ input: [UInt8], limit: Int) async throws -> [UInt8] {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try decompressNow(input, limit: limit) }) }
        }
    }

    private static let queue = DispatchQueue(label: "tokenpool.gzip")

    static func decompressNow(_ input: some Sequence<UInt8>, limit: Int) throws(Fault) -> [UInt8] {
        var stream = GzipStream()
        stream.push(input)
        stream.finish()
        var output: [UInt8] = []
        while let piece = try stream.next() {
            if output.count + piece.count > limit { throw .tooLarge }
            output += piece
        }
        return output
    }
}

/// A gzip stream that is decompressed while it comes, in pieces of bounded size.
///
/// Push some input, take pieces until there is none, push more; ``finish()`` says that all was pushed.
struct GzipStream: Sendable {
    private enum Phase { case header, deflate, trailer }

    private var reader = BitReader()
    private var phase = Phase.header
    private var inflate = Inflate()
    private var check = CRC32()
    private var length: UInt32 = 0
    /// Whether a whole member was read, so that the input may end.
    private var hasMember = false

    mutating func push(_ input: some Sequence<UInt8>) { reader.push(input) }

    mutating func finish() { reader.isComplete = true }

    /// The next plain bytes; `nil` when more input is needed or all of it was decompressed.
    mutating func next() throws(Gzip.Fault) -> [UInt8]? {
        while true {
            switch phase {
            case .header:
                // A header does not tell its length; a name of 64 KiB in it is not meant well.
                guard reader.has(bytes: 64 << 10) else { return nil }
                if hasMember && reader.isAtEnd { return nil }
                guard skipHeader() else { throw .malformed }
                phase = .deflate
                inflate = Inflate()
                check = CRC32()
                length = 0
            case .deflate:
                let piece: [UInt8]
                switch inflate.run(&reader) {
                case .malformed: throw .malformed
                case .needsInput(let bytes): piece = bytes
                case .full(let bytes): piece = bytes
                case .end(let bytes):
                    piece = bytes
                    phase = .trailer
                }
                check.update(piece)
                length &+= UInt32(truncatingIfNeeded: piece.count)
                if !piece.isEmpty { return piece }
                if phase == .deflate { return nil }
            case .trailer:
                guard reader.has(bytes: 8) else { return nil }
                reader.alignToByte()
                guard reader.word() == check.value, reader.word() == length else { throw .malformed }
                hasMember = true
                phase = .header
            }
        }
    }

    private mutating func skipHeader() -> Bool {
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

/// The check sum of gzip (RFC 1952 §8).
struct CRC32: Sendable {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ value >> 1 : value >> 1 }
    }
    private var state = UInt32.max

    var value: UInt32 { ~state }

    mutating func update(_ bytes: [UInt8]) {
        Self.table.withUnsafeBufferPointer { table in
            for byte in bytes { state = table[Int(UInt8(truncatingIfNeeded: state) ^ byte)] ^ state >> 8 }
        }
    }
}

/// Reads bits from the low end of each byte.
struct BitReader: Sendable {
    private var bytes: [UInt8] = []
    private var position = 0
    private var buffer: UInt64 = 0
    private var available = 0
    /// All input was pushed.
    var isComplete = false

    mutating func push(_ input: some Sequence<UInt8>) {
        bytes.removeFirst(position)
        position = 0
        bytes.append(contentsOf: input)
    }

    /// Whether so many bytes can be read, or all that will ever come.
    func has(bytes count: Int) -> Bool { isComplete || bytes.count - position >= count }

    var isAtEnd: Bool { position >= bytes.count && available < 8 }

    private mutating func fill() {
        while available <= 48, position < bytes.count {
            buffer |= UInt64(bytes[position]) << UInt64(available)
            position += 1
            available += 8
        }
    }

    /// The next bits without taking them, zeros where the input ends.
    mutating func peek(_ count: Int) -> Int {
        if available < count { fill() }
        return Int(buffer & (1 << UInt64(count) - 1))
    }

    /// Takes bits that were looked at; `false` at the end of the input.
    mutating func skip(_ count: Int) -> Bool {
        guard available >= count else { return false }
        buffer >>= UInt64(count)
        available -= count
        return true
    }

    /// The next bits, at most 16; `nil` at the end.
    mutating func bits(_ count: Int) -> UInt32? {
        let value = peek(count)
        return skip(count) ? UInt32(value) : nil
    }

    /// 32 bits.
    mutating func word() -> UInt32? {
        guard let low = bits(16), let high = bits(16) else { return nil }
        return low | high << 16
    }

    mutating func alignToByte() { _ = skip(available & 7) }
}
