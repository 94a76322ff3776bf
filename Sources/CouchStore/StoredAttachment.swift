import CouchDocument

/// An attachment of a stored revision, without its bytes.
package struct StoredAttachment: Hashable, Sendable {
    /// How the stored bytes are compressed.
    package struct Encoding: Hashable, Sendable {
        /// `gzip`.
        package let name: String
        /// The length of what comes out of it.
        package let decodedLength: Int

        /// An encoding of that name.
        package init(name: String, decodedLength: Int) {
            self.name = name
            self.decodedLength = decodedLength
        }
    }

    /// The attachment's name.
    package let name: String
    /// The media type.
    package let contentType: String
    /// The generation of the document at which it was written.
    package let revisionPosition: Int
    /// MD5 of the stored bytes, 16 bytes.
    package let md5: [UInt8]
    /// The number of stored bytes.
    package let storedLength: Int
    /// `nil` when the bytes are stored as they are.
    package let encoding: Encoding?

    /// The number of bytes that a reader gets who wants them as they were: CouchDB's `length`.
    package var length: Int { encoding?.decodedLength ?? storedLength }
    /// CouchDB's `digest`: `md5-` and base64.
    package var digest: String { "md5-" + base64(md5) }

    /// The stub as CouchDB writes it, or with `encoding` and `encoded_length` when these are asked for.
    package func stub(withEncoding: Bool = false) -> JSONObject {
        var members: JSONObject = [
            "content_type": .string(contentType), "revpos": .integer(revisionPosition), "digest": .string(digest),
            "length": .integer(length), "stub": true,
        ]
        if withEncoding, let encoding {
            members["encoding"] = .string(encoding.name)
            members["encoded_length"] = .integer(storedLength)
        }
        return members
    }
}

/// Bytes that were taken in and await the edit that names them. Dropped when no edit does.
package struct UploadedContent: Sendable {
    /// MD5 of the bytes, 16 bytes.
    package let md5: [UInt8]
    /// Their number.
    package let length: Int
    /// Where they are meanwhile.
    let location: Location

    enum Location: Sendable {
        case memory([UInt8])
        case file(UploadedFile)
    }
}
