/// The content of an attachment as it comes.
public struct Attachment: Sendable {
    /// The media type.
    public let contentType: String
    /// The size in bytes, when the server told it.
    public let length: Int?
    /// The MD5 of the content in base64, when the server told it.
    public let md5: String?
    /// The content, to be read once.
    public let body: ResponseBody

    /// The whole content.
    ///
    /// - Throws: ``CouchDBError/tooLarge`` when it is longer than the limit.
    public func bytes(upTo limit: Int) async throws -> [UInt8] { try await body.bytes(upTo: limit) }
}
