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
    /// Runs aside: what is malicious takes long.
    static func decompress(_ input: [UInt8], limit: Int) async throws -> [UInt8] {
        try await LargeBodies.perform { try decompressNow(input, limit: limit) }
    }

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
