public import CouchDocument
import Crypto

extension Database {
    /// An attachment of a document: `GET /db/id/name`.
    ///
    /// - Parameter revision: Of that revision of the document; `nil` is the winning one.
    /// - Throws: ``CouchDBError/notFound`` when the document or the attachment is not there.
    public func attachment(_ name: String, of id: String, revision: Revision? = nil) async throws -> Attachment {
        let call = Call(
            "GET", try attachmentPath(name, of: id, "GET"), query: revision.map { [("rev", $0.description)] } ?? [],
            headers: [("Accept", "*/*")])
        let response = try await server.open(call)
        // The ETag is the MD5 of the stored bytes; stored compressed (`Accept-Ranges: none`) these are others than came.
        let tag = response.headers["etag"]?.trimming(UInt8(ascii: "\""))
        let isPlain = response.headers["accept-ranges"]?.lowercased() == "bytes"
        let isMD5 = tag?.utf8.count == 24 && tag?.hasSuffix("==") == true
        return Attachment(
            contentType: response.headers["content-type"] ?? "application/octet-stream",
            length: response.headers["content-length"].flatMap { Int($0) },
            md5: response.headers["content-md5"] ?? (isPlain && isMD5 ? tag : nil), body: response.body)
    }

    /// Streams an attachment into a file: to a temporary name beside it, which is renamed when length and MD5 agree
    /// with what the server told. A file that was there stays as it was until then.
    ///
    /// - Throws: ``CouchDBError/interrupted`` when the content was cut short, ``CouchDBError/badAnswer`` when its MD5 is
    ///   not the one told, ``FileError`` when the file can not be written.
    public func downloadAttachment(_ name: String, of id: String, revision: Revision? = nil, to path: String)
        async throws
    {
        let attachment = try await attachment(name, of: id, revision: revision)
        let attempted = "GET " + (try attachmentPath(name, of: id, "GET"))
        var file = try TemporaryFile(for: path)
        var digest = Insecure.MD5()
        var length = 0
        for try await chunk in attachment.body {
            digest.update(data: chunk)
            length += chunk.count
            try file.write(chunk)
        }
        if let announced = attachment.length, announced != length {
            throw CouchDBError(
                code: .interrupted, reason: "\(length) bytes came of \(announced)", attempted: attempted)
        }
        if let md5 = attachment.md5, md5 != base64(digest.finalize()) {
            throw CouchDBError(
                code: .badAnswer, reason: "the content does not have the MD5 that the server told", attempted: attempted
            )
        }
        try file.commit()
    }

    /// Writes an attachment: `PUT /db/id/name`. A file or stream is sent in pieces.
    ///
    /// - Parameter revision: The document's current one; `nil` makes a new document.
    /// - Returns: The document's new revision.
    /// - Throws: ``CouchDBError/conflict`` when the revision is not the current one.
    @discardableResult
    public func putAttachment(
        _ name: String, to id: String, revision: Revision?, contentType: String, body: RequestBody
    ) async throws -> Revision {
        let call = Call(
            "PUT", try attachmentPath(name, of: id, "PUT"), query: revision.map { [("rev", $0.description)] } ?? [],
            headers: [("Content-Type", contentType)], body: body,
            repeatability: revision == nil ? .onlyIfNothingHappened : .safe)
        return try Self.revision(in: try await server.perform(call))
    }

    /// Removes an attachment: `DELETE /db/id/name?rev=…`.
    ///
    /// - Returns: The document's new revision.
    @discardableResult
    public func deleteAttachment(_ name: String, of id: String, revision: Revision) async throws -> Revision {
        let call = Call(
            "DELETE", try attachmentPath(name, of: id, "DELETE"), query: [("rev", revision.description)],
            repeatability: .safe)
        return try Self.revision(in: try await server.perform(call))
    }

    private func attachmentPath(_ name: String, of id: String, _ method: String) throws -> String {
        let path = try documentPath(id, method)
        guard !name.isEmpty else {
            throw CouchDBError(
                code: .badRequest, reason: "an empty text can not be the name of an attachment",
                attempted: method + " " + path)
        }
        return path + "/" + name.percentEncodedSegment
    }
}
