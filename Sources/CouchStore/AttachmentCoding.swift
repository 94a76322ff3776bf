/// How the attachments of a revision are kept: one after the other, lengths before texts.
enum AttachmentCoding {
    static func encode(_ attachments: [StoredAttachment]) -> [UInt8]? {
        guard !attachments.isEmpty else { return nil }
        var encoder = RevisionEncoder()
        func text(_ value: String) {
            encoder.number(value.utf8.count)
            for unit in value.utf8 { encoder.byte(unit) }
        }
        for attachment in attachments {
            text(attachment.name)
            text(attachment.contentType)
            encoder.number(attachment.revisionPosition)
            for byte in attachment.md5 { encoder.byte(byte) }
            encoder.number(attachment.storedLength)
            text(attachment.encoding?.name ?? "")
            if let encoding = attachment.encoding { encoder.number(encoding.decodedLength) }
        }
        return encoder.bytes
    }

    static func decode(_ bytes: [UInt8]) -> [StoredAttachment] {
        bytes.withUnsafeBytes { buffer in
            var decoder = RevisionDecoder(buffer)
            var result: [StoredAttachment] = []
            while !decoder.isAtEnd {
                let name = decoder.text().text
                let contentType = decoder.text().text
                let position = decoder.number()
                let md5 = (0..<16).map { _ in decoder.byte() }
                let length = decoder.number()
                let encoding = decoder.text().text
                result.append(
                    StoredAttachment(
                        name: name, contentType: contentType, revisionPosition: position, md5: md5,
                        storedLength: length,
                        encoding: encoding.isEmpty
                            ? nil : StoredAttachment.Encoding(name: encoding, decodedLength: decoder.number())))
            }
            return result
        }
    }
}

/// Bytes in base64 with padding.
func base64(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
        let group = bytes[start..<min(start + 3, bytes.count)]
        var value: UInt32 = 0
        for offset in 0..<3 { value = value << 8 | UInt32(offset < group.count ? group[start + offset] : 0) }
        for offset in 0..<4 {
            let isPadding = offset > group.count
            text.append(isPadding ? 0x3D : alphabet[Int(value >> UInt32(18 - 6 * offset) & 63)])
        }
    }
    return String(decoding: text, as: UTF8.self)
}
