#if DEBUG
    import CouchDocument
    @testable import CouchServer
    @testable import CouchStore

    enum PathFuzz {
        static func run(_ bytes: [UInt8]) {
            let text = String(decoding: bytes, as: UTF8.self)
            if let path = try? RequestPath(text[...]) {
                let again = try? RequestPath(RequestPath(segments: path.segments).raw[...])
                precondition(again?.segments == path.segments, "encoded and decoded is another path")
                for segment in path.segments {
                    precondition((try? RequestPath(segment.percentEncodedSegment[...]))?.segments == [segment])
                    try? DocumentDraft.checkID(segment)
                    try? DocumentDraft.checkAttachmentName(segment)
                    _ = try? DatabaseRoutes.checkName(segment)
                    if (try? DatabaseName.check(segment)) != nil {
                        precondition(DatabaseName.name(fileName: DatabaseName.fileName(segment)) == segment)
                        precondition(!DatabaseName.fileName(segment).contains("/"))
                    }
                }
            }
            for length in [0, 1, 10, Int.max] {
                for range in (try? AttachmentRange.parse("bytes=" + text, length: length)) ?? [] {
                    precondition(0 <= range.lowerBound && range.upperBound <= length)
                }
            }
            _ = MultipartBoundary.of(text)
            _ = SequenceText.number(text)
            if let hash = PasswordHash(setting: text) { precondition(PasswordHash(setting: hash.setting) != nil) }
            if let cookie = try? SessionCookie(text) {
                _ = cookie.isValid(secret: "s", salt: "t", now: 1_800_000_000, lifetime: 600)
                _ = cookie.isAging(now: 1_800_000_000, lifetime: 600)
            }
        }
    }

    enum ParametersFuzz {
        static func run(_ bytes: [UInt8]) {
            let text = String(decoding: bytes, as: UTF8.self)
            if let query = try? Query(text[...]) {
                var options = RowOptions()
                if (try? options.read(query)) != nil { check(options) }
                _ = try? DocumentView(query)
                for item in query.items {
                    _ = try? Query.integer(item.value)
                    _ = try? DocumentDraft.revision(item.value)
                }
            }
            if let body = (try? JSON(parsing: bytes, numbers: .canonical))?.objectValue {
                var options = RowOptions()
                if (try? options.read(body)) != nil { check(options) }
            }
        }

        private static func check(_ options: RowOptions) {
            let query = ViewRoutes.query(options)
            precondition(query.skip >= 0 && query.skip < Int.max / 2)
            precondition((query.limit ?? 0) >= 0 && (query.limit ?? 0) < Int.max / 2)
            let names = ["a", "b", "c/d", "é"]
            precondition(options.select(names).allSatisfy(names.contains))
        }
    }

    enum GzipFuzz {
        static func run(_ bytes: [UInt8]) {
            let limit = 1 << 20
            let whole = try? Gzip.decompressNow(bytes, limit: limit)
            precondition((whole?.count ?? 0) <= limit)
            // The same in small pieces.
            var stream = GzipStream()
            var output: [UInt8] = []
            do {
                for start in stride(from: 0, to: bytes.count, by: 7) {
                    stream.push(bytes[start..<min(start + 7, bytes.count)])
                    while let piece = try stream.next(), output.count <= limit { output += piece }
                }
                stream.finish()
                while let piece = try stream.next(), output.count <= limit { output += piece }
                if output.count <= limit { precondition(whole == output, "pieces give another result") }
            } catch {
                precondition(whole == nil, "pieces fail where the whole does not")
            }
        }
    }
#endif
