import CouchDocument
import CouchStore
import Hummingbird
import NIOCore

/// Writes multipart bodies as CouchDB's replicator reads them.
struct MultipartWriter: Sendable {
    let boundary: String
    fileprivate var bytes: [UInt8] = []

    init(boundary: String) { self.boundary = boundary }

    static func newBoundary() -> String { hexadecimal((0..<16).map { _ in UInt8.random(in: 0...255) }) }

    private mutating func text(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private mutating func begin(_ headers: [(String, String)]) {
        text("--\(boundary)\r\n")
        // A name or a type with a line break in it must not end the header.
        for (name, value) in headers { text("\(name): \(String(value.map { $0.isNewline ? " " : $0 }))\r\n") }
        text("\r\n")
    }

    /// A whole part.
    mutating func part(_ headers: [(String, String)], _ content: [UInt8]) {
        begin(headers)
        bytes.append(contentsOf: content)
        text("\r\n")
    }

    /// The mark after the last part.
    mutating func end() { text("--\(boundary)--") }

    mutating func flush(to writer: inout any ResponseBodyWriter) async throws {
        if bytes.isEmpty { return }
        try await writer.write(ByteBuffer(bytes: bytes))
        bytes = []
    }

    /// A document as one part: JSON, or with attachments a multipart body of its own.
    mutating func document(
        _ document: StoredDocument, view: DocumentView, of database: StoredDatabase,
        to writer: inout any ResponseBodyWriter
    ) async throws {
        if view.contents(of: document).isEmpty {
            var json = JSONWriter()
            var plain = view
            plain.attachments = false
            try await plain.write(document, of: database, to: &json)
            part([("Content-Type", "application/json")], json.bytes)
            return
        }
        let inner = Self.newBoundary()
        begin([("Content-Type", "multipart/related; boundary=\"\(inner)\"")])
        try await flush(to: &writer)
        try await MultipartDocument.write(document, view: view, of: database, boundary: inner, to: &writer)
        text("\r\n")
    }
}

/// A document and its attachments as `multipart/related`: JSON that says which attachments follow, then their bytes.
enum MultipartDocument {
    static func answer(_ document: StoredDocument, view: DocumentView, of database: StoredDatabase) async throws
        -> Answer
    {
        let boundary = MultipartWriter.newBoundary()
        return Answer(
            200, contentType: "multipart/related; boundary=\"\(boundary)\"",
            .stream(length: nil) { writer in
                try await write(document, view: view, of: database, boundary: boundary, to: &writer)
            })
    }

    static func write(
        _ document: StoredDocument, view: DocumentView, of database: StoredDatabase, boundary: String,
        to writer: inout any ResponseBodyWriter
    ) async throws {
        let contents = view.contents(of: document)
        var parts = MultipartWriter(boundary: boundary)
        var json = JSONWriter()
        var more = JSONObject()
        if view.showsStatuses(of: document) {
            let statuses = try await database.revisionStatuses(of: document.id, revision: document.revision)
            more["_revs_info"] = .array(
                statuses.map { ["rev": .string($0.revision.description), "status": .string($0.status.rawValue)] })
        }
        document.write(
            to: &json, details: view.details.union(.attachmentEncodings),
            sequence: SequenceText.text(document.sequence, of: database), more: more
        ) { attachment in
            guard contents.contains(where: { $0.name == attachment.name }) else { return nil }
            var stub = attachment.stub(withEncoding: true)
            stub["stub"] = nil
            stub["follows"] = true
            return stub
        }
        parts.part([("Content-Type", "application/json")], json.bytes)
        for attachment in contents {
            let quoted = attachment.name.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            var headers = [
                ("Content-Disposition", "attachment; filename=\"\(quoted)\""),
                ("Content-Type", attachment.contentType), ("Content-Length", String(attachment.storedLength)),
            ]
            if let encoding = attachment.encoding { headers.append(("Content-Encoding", encoding.name)) }
            parts.part(headers, [])
            parts.dropLineBreak()
            try await parts.flush(to: &writer)
            try await AttachmentRoutes.copy(try await database.content(of: attachment), to: &writer)
            parts.lineBreak()
        }
        parts.end()
        try await parts.flush(to: &writer)
    }
}

extension MultipartWriter {
    /// Takes back the line break after a part whose content is sent past this writer.
    fileprivate mutating func dropLineBreak() { bytes.removeLast(2) }
    fileprivate mutating func lineBreak() { bytes.append(contentsOf: "\r\n".utf8) }
}
