import CouchDB
import CouchDocument

/// Copies a document whose attachments are too large to be held: they flow from one side to the other.
struct AttachmentCopier: Sendable {
    let source: Database
    let target: Database
    /// Bytes that are held of an attachment at most, besides what the two connections hold.
    private static let pieceSize = 256 << 10

    /// - Parameter known: Leaves of the target that may be ancestors: what they have is not sent again.
    func copy(_ document: Document, known: [Revision]) async throws {
        let ancestor = Self.generation(ofNearest: known, in: document)
        do {
            try await send(document, knownUpTo: ancestor)
        } catch CouchDBError.preconditionFailed where ancestor > 0 {
            // The target has the ancestor but no longer its attachments (412 `missing_stub`).
            try await send(document, knownUpTo: 0)
        }
    }

    /// The generation of the nearest ancestor that the target has; 0 for none.
    private static func generation(ofNearest known: [Revision], in document: Document) -> Int {
        guard let start = document["_revisions"]?["start"]?.intValue,
            let hashes = document["_revisions"]?["ids"]?.arrayValue
        else { return 0 }
        let path = Set(
            hashes.enumerated().compactMap { index, hash in
                hash.stringValue.map { Revision(generation: start - index, hash: $0) }
            })
        return known.filter(path.contains).map(\.generation).max() ?? 0
    }

    private func send(_ document: Document, knownUpTo ancestor: Int) async throws {
        guard let revision = document.revision else {
            throw ReplicationError("doc_read_failure", "the source gives \"\(document.id)\" without a revision")
        }
        var parts: [AttachmentPart] = []
        var attachments = JSONObject()
        for (name, stub) in document.attachments {
            var members = stub.objectValue ?? [:]
            if let position = members["revpos"]?.intValue, position <= ancestor {
                attachments[name] = .object(["stub": true, "revpos": .integer(position)])
                continue
            }
            members["stub"] = nil
            members["follows"] = true
            guard let length = (members["encoding"] == nil ? members["length"] : members["encoded_length"])?.intValue
            else { throw ReplicationError("doc_read_failure", "the source tells no length of an attachment") }
            attachments[name] = .object(members)
            parts.append(
                AttachmentPart(
                    source: source, id: document.id, name: name, revision: revision, length: length,
                    encoding: members["encoding"]?.stringValue,
                    contentType: members["content_type"]?.stringValue ?? "application/octet-stream"))
        }
        var sent = document
        sent.attachments = attachments
        let body = RelatedParts(document: JSON.object(sent.fields).encoded(), parts: parts)
        _ = try await target.server.request(
            "PUT", "/" + target.name.percentEncodedSegment + "/" + document.id.percentEncodedDocumentPath,
            query: [("new_edits", "false")], headers: [("Content-Type", body.contentType)],
            body: .stream(length: body.length, body.stream()))
    }
}

/// One attachment that is read when its turn comes, in the form in which the source keeps it.
struct AttachmentPart: Sendable {
    let source: Database
    let id: String
    let name: String
    let revision: Revision
    /// Of the stored form.
    let length: Int
    let encoding: String?
    let contentType: String

    func open() async throws -> ResponseBody {
        let path = "/" + source.name.percentEncodedSegment + "/" + id.percentEncodedDocumentPath
        let answer = try await source.server.stream(
            "GET", path + "/" + name.percentEncodedSegment, query: [("rev", revision.description)],
            headers: [("Accept", "*/*")] + (encoding.map { [("Accept-Encoding", $0)] } ?? []))
        guard answer.headers["content-encoding"] == encoding else {
            throw ReplicationError(
                "doc_read_failure",
                "the source gives attachment \"\(name)\" of \"\(id)\" in another coding than it says")
        }
        return answer.body
    }
}

/// A body of type `multipart/related`: the document, then its attachments in order.
struct RelatedParts: Sendable {
    private let boundary = hexadecimal((0..<16).map { _ in UInt8.random(in: 0...255) })
    private let head: [UInt8]
    private let parts: [AttachmentPart]
    private let heads: [[UInt8]]
    private let end: [UInt8]

    init(document: [UInt8], parts: [AttachmentPart]) {
        self.parts = parts
        let boundary = boundary
        head = Array("--\(boundary)\r\nContent-Type: application/json\r\n\r\n".utf8) + document
        heads = parts.map { part in
            // The name stands in the document; CouchDB takes the parts by their order.
            var text = "\r\n--\(boundary)\r\nContent-Type: \(part.contentType.filter { !$0.isNewline })\r\n"
            text += "Content-Length: \(part.length)\r\n"
            if let encoding = part.encoding { text += "Content-Encoding: \(encoding)\r\n" }
            return Array((text + "\r\n").utf8)
        }
        end = Array("\r\n--\(boundary)--".utf8)
    }

    var contentType: String { "multipart/related; boundary=\"\(boundary)\"" }

    var length: Int {
        head.count + zip(heads, parts).reduce(0) { $0 + $1.0.count + $1.1.length } + end.count
    }

    func stream() -> Stream { Stream(parts: self) }

    /// The bytes of the body; each attachment is asked for when those before it are through.
    struct Stream: AsyncSequence, Sendable {
        typealias Element = [UInt8]
        typealias Failure = any Error
        let parts: RelatedParts

        func makeAsyncIterator() -> Iterator { Iterator(parts: parts) }
    }

    struct Iterator: AsyncIteratorProtocol {
        let parts: RelatedParts
        private var next = -1
        private var body: ResponseBody.Iterator?
        private var left = 0

        init(parts: RelatedParts) { self.parts = parts }

        mutating func next() async throws -> [UInt8]? {
            if let piece = try await body?.next() {
                left -= piece.count
                if left < 0 { throw Self.wrongLength(parts.parts[next]) }
                return piece
            }
            if body != nil, left > 0 { throw Self.wrongLength(parts.parts[next]) }
            body = nil
            next += 1
            if next == 0 && parts.parts.isEmpty { return parts.head }
            if next > parts.parts.count { return nil }
            if next == parts.parts.count { return parts.end }
            let part = parts.parts[next]
            body = try await part.open().makeAsyncIterator()
            left = part.length
            return next == 0 ? parts.head + parts.heads[0] : parts.heads[next]
        }

        private static func wrongLength(_ part: AttachmentPart) -> ReplicationError {
            ReplicationError(
                "doc_read_failure", "attachment \"\(part.name)\" of \"\(part.id)\" is not as long as the source says")
        }
    }
}
