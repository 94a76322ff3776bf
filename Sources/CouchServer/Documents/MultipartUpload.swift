import CouchDocument
import CouchStore
import HTTPTypes
import HummingbirdCore

/// A document sent as `multipart/related`: JSON first, then the bytes of the attachments that it says follow.
struct MultipartUpload: Sendable {
    let here: DatabaseCall

    /// Reads the whole request; the attachments are uploaded as they come.
    func draft() async throws -> DocumentDraft {
        guard let type = here.call.headers[.contentType],
            let boundary = MultipartBoundary.of(type)
        else { throw Refusal.badRequest("the multipart request has no boundary") }
        let body = try await here.call.bodyStream()
        var reader = MultipartReader(body.makeAsyncIterator(), boundary: boundary)
        guard try await reader.nextPart() != nil else { throw Refusal.badRequest("the multipart request is empty") }
        var text: [UInt8] = []
        while let piece = try await reader.nextPiece() {
            if text.count + piece.count > here.call.share.largestBody { throw Refusal.requestTooLarge }
            try here.call.share.hold(bytes: piece.count)
            text += piece
        }
        guard let json = try? JSON(parsing: text, numbers: .canonical) else {
            // CouchDB looks for another content type when the first part is no JSON.
            throw Refusal.notJSONContent
        }
        var fields = json
        if case .object(var members) = json {
            members["_id"] = nil
            fields = .object(members)
        }
        var draft = try DocumentDraft(fields, limit: here.service.settings.limits.documentSize)
        var waiting = draft.following
        while let headers = try await reader.nextPart() {
            guard !waiting.isEmpty else { continue }
            let named = Self.fileName(headers["content-disposition"])
            let place = named.flatMap { name in waiting.firstIndex { $0.name == name } } ?? 0
            let expected = waiting.remove(at: place)
            let upload = here.database.beginUpload()
            while let piece = try await reader.nextPiece() {
                try await upload.append(piece)
                if upload.length > here.service.settings.limits.attachmentSize {
                    throw AttachmentRoutes.tooLarge(expected.name)
                }
            }
            let content = try await upload.finish()
            try Self.check(content.length, against: expected, isEncoded: headers["content-encoding"] != nil)
            draft.attachments[expected.position].content = .uploaded(content)
        }
        if let missing = waiting.first {
            throw Refusal.badRequest("attachment shorter than expected: \(missing.name) did not come")
        }
        draft.following = []
        return draft
    }

    private static func check(_ length: Int, against expected: DocumentDraft.Following, isEncoded: Bool)
        throws(Refusal)
    {
        guard let announced = expected.encodingLength ?? (isEncoded ? nil : expected.length) else { return }
        if length < announced { throw .badRequest("attachment shorter than expected") }
        if length > announced { throw .badRequest("attachment longer than expected") }
    }

    private static func fileName(_ disposition: String?) -> String? {
        guard let disposition, let range = disposition.firstRange(of: "filename=\"") else { return nil }
        var name = ""
        var isEscaped = false
        for character in disposition[range.upperBound...] {
            if isEscaped {
                name.append(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "\"" {
                break
            } else {
                name.append(character)
            }
        }
        return name
    }
}
