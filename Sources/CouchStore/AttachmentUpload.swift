/// Takes in the bytes of an attachment piece by piece: small ones in memory, large ones in a file.
///
/// One caller at a time. An upload that is dropped before ``finish()`` leaves nothing behind.
package final class AttachmentUpload: Sendable {
    init() { fatalError("not there yet") }

    /// Adds bytes; returns when they are taken, so a fast sender is held back.
    package func append(_ bytes: [UInt8]) async throws { fatalError("not there yet") }

    /// Ends it.
    package func finish() async throws -> UploadedContent { fatalError("not there yet") }
}

final class UploadedFile: Sendable {}

/// The stored bytes of an attachment.
package struct AttachmentContent: Sendable {
    /// Their number.
    package let length: Int

    /// Up to `count` bytes from `offset`; fewer only at the end.
    package func read(at offset: Int, count: Int) async throws -> [UInt8] { fatalError("not there yet") }
}

enum AttachmentCoding {
    static func decode(_ bytes: [UInt8]) -> [StoredAttachment] { fatalError("not there yet") }
}

func base64(_ bytes: [UInt8]) -> String { fatalError("not there yet") }
