import NIOCore

/// The mark between the parts of a multipart body.
enum MultipartBoundary {
    /// The parameter of a Content-Type; `nil` when it has none.
    static func of(_ contentType: String) -> String? {
        guard let range = contentType.firstRange(of: "boundary=") else { return nil }
        let rest = contentType[range.upperBound...]
        if rest.first == "\"" { return String(rest.dropFirst().prefix { $0 != "\"" }) }
        let value = rest.prefix { $0 != ";" && $0 != " " }
        return value.isEmpty ? nil : String(value)
    }
}

/// Reads a multipart body piece by piece (RFC 2046): the headers of a part, then its bytes as they come.
struct MultipartReader<Chunks: AsyncIteratorProtocol> where Chunks.Element == ByteBuffer {
    private var chunks: Chunks
    private let mark: [UInt8]
    private var buffer: [UInt8]
    private var isAtEnd = false
    private static var longestHead: Int { 64 << 10 }

    /// - Parameter boundary: From the Content-Type.
    init(_ chunks: Chunks, boundary: String) {
        self.chunks = chunks
        mark = Array("\r\n--\(boundary)".utf8)
        // The first mark stands at the very beginning, without the line break that belongs to the others.
        buffer = Array("\r\n".utf8)
    }

    private mutating func fill() async throws -> Bool {
        guard let chunk = try await chunks.next() else { return false }
        buffer.append(contentsOf: chunk.readableBytesView)
        return true
    }

    /// Goes on to the next part and reads its headers, names in lower case; `nil` after the last one.
    mutating func nextPart() async throws -> [String: String]? {
        while try await nextPiece() != nil {}
        if isAtEnd { return nil }
        while true {
            let start = mark.count
            if buffer.count >= start + 2 {
                if buffer[start] == UInt8(ascii: "-") && buffer[start + 1] == UInt8(ascii: "-") {
                    isAtEnd = true
                    return nil
                }
                let end = Self.find(Array("\r\n\r\n".utf8), in: buffer, from: start)
                if (end ?? buffer.count) - start > Self.longestHead {
                    throw Refusal.badRequest("the headers of a part are longer than \(Self.longestHead) bytes")
                }
                if let end {
                    let head = String(decoding: buffer[start..<end], as: UTF8.self)
                    buffer.removeFirst(end + 4)
                    var headers: [String: String] = [:]
                    for line in head.split(separator: "\r\n") {
                        let pair = line.split(separator: ":", maxSplits: 1)
                        guard pair.count == 2 else { continue }
                        headers[pair[0].lowercased()] = String(pair[1].drop { $0 == " " })
                    }
                    return headers
                }
            }
            guard try await fill() else { throw Refusal.badRequest("the multipart body ends too early") }
        }
    }

    /// Some bytes of the current part; `nil` at its end.
    mutating func nextPiece() async throws -> [UInt8]? {
        if isAtEnd { return nil }
        while true {
            if let end = Self.find(mark, in: buffer, from: 0) {
                if end == 0 { return nil }
                let piece = Array(buffer[..<end])
                buffer.removeFirst(end)
                return piece
            }
            // What could be the beginning of a mark stays.
            let safe = buffer.count - mark.count
            if safe > 0 {
                let piece = Array(buffer[..<safe])
                buffer.removeFirst(safe)
                return piece
            }
            guard try await fill() else { throw Refusal.badRequest("the multipart body ends too early") }
        }
    }

    private static func find(_ pattern: [UInt8], in bytes: [UInt8], from start: Int) -> Int? {
        guard bytes.count - start >= pattern.count else { return nil }
        return bytes.withUnsafeBufferPointer { bytes in
            var index = start
            let last = bytes.count - pattern.count
            while index <= last {
                if bytes[index] == pattern[0] {
                    var length = 1
                    while length < pattern.count && bytes[index + length] == pattern[length] { length += 1 }
                    if length == pattern.count { return index }
                }
                index += 1
            }
            return nil
        }
    }
}
