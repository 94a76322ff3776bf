import CouchStore
import HTTPTypes
import Hummingbird
import NIOCore

/// The `Range` header of an attachment's read.
enum AttachmentRange {
    /// Turns the answer into the part that is asked for.
    ///
    /// A header that is no list of byte ranges is as if it were not there.
    static func apply(_ header: String, _ content: AttachmentContent, to answer: inout Answer) throws(Refusal) {
        guard let ranges = try parse(header, length: content.length), !ranges.isEmpty else { return }
        answer.status = 206
        let length = content.length
        if ranges.count == 1 {
            let range = ranges[0]
            answer.headers[.contentRange] = "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(length)"
            answer.headers[.contentMD5] = nil
            answer.body = .stream(length: range.count) { writer in
                try await AttachmentRoutes.copy(content, from: range.lowerBound, count: range.count, to: &writer)
            }
            return
        }
        let boundary = MultipartWriter.newBoundary()
        let type = answer.headers[.contentType] ?? "application/octet-stream"
        answer.headers[.contentType] = "multipart/byteranges; boundary=\"\(boundary)\""
        answer.body = .stream(length: nil) { writer in
            var text = ""
            for range in ranges {
                text += "\r\n--\(boundary)\r\nContent-Type: \(type)\r\n"
                text += "Content-Range: bytes \(range.lowerBound)-\(range.upperBound - 1)/\(length)\r\n\r\n"
                try await writer.write(ByteBuffer(string: text))
                try await AttachmentRoutes.copy(content, from: range.lowerBound, count: range.count, to: &writer)
                text = ""
            }
            try await writer.write(ByteBuffer(string: "\r\n--\(boundary)--\r\n"))
        }
    }

    private static let mostRanges = 10

    /// A number without sign; beyond 64 bits it is just beyond every end.
    private static func position(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(text) ?? .max
    }

    static func parse(_ header: String, length: Int) throws(Refusal) -> [Range<Int>]? {
        guard header.hasPrefix("bytes=") else { return nil }
        let outside = Refusal(
            416, "requested_range_not_satisfiable", "Requested range not satisfiable",
            headers: [("Content-Range", "bytes */\(length)")])
        var ranges: [Range<Int>] = []
        let parts = header.dropFirst(6).split(separator: ",")
        // As CouchDB does (chttpd_db.erl): a header of many ranges would have the file sent many times over.
        if parts.count >= mostRanges { return nil }
        for part in parts {
            let ends = part.filter { $0 != " " }.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
            guard ends.count == 2 else { return nil }
            switch (position(ends[0]), position(ends[1])) {
            case (nil, let count?) where ends[0].isEmpty:
                // CouchDB 3.5 cuts a count as if it were the last place: asked for too many it leaves out the first byte.
                let count = min(count, length - 1)
                if count <= 0 { throw outside }
                ranges.append(length - count..<length)
            case (let first?, nil) where ends[1].isEmpty:
                if first == 0 { return nil }  // All of it: CouchDB answers 200.
                if first >= length { throw outside }
                ranges.append(first..<length)
            case (let first?, let last?):
                if first >= length || last < first { throw outside }
                ranges.append(first..<min(length - 1, last) + 1)
            default: return nil
            }
        }
        return ranges
    }
}
