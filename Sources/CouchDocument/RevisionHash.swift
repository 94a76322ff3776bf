package import Crypto

/// What an attachment adds to the hash of a revision.
public struct AttachmentDigest: Hashable, Sendable {
    /// The attachment's name.
    public let name: String
    /// Its media type.
    public let contentType: String
    /// MD5 of its content, 16 bytes.
    public let md5: [UInt8]

    /// The three parts that count.
    public init(name: String, contentType: String, md5: [UInt8]) {
        self.name = name
        self.contentType = contentType
        self.md5 = md5
    }
}

extension Revision {
    /// The revision that CouchDB 3 gives to an edit, so that equal edits on two servers are one revision.
    ///
    /// MD5 of Erlang's external term format of `[deleted, previous generation, previous hash, body, attachments]`
    /// (couch_db:new_revid/1, CouchDB 3.5; observed values in the tests).
    ///
    /// - Parameters:
    ///   - body: The members without those whose names start with `_`.
    ///   - attachments: In the order of the document's `_attachments`.
    public init(
        editing parent: Revision?, isDeleted: Bool, body: JSONObject, attachments: [AttachmentDigest] = []
    ) {
        let digest = Self.digest(editing: parent, isDeleted: isDeleted, body: body, attachments: attachments)
        self.init(generation: (parent?.generation ?? 0) + 1, hash: hexadecimal(digest))
    }

    /// The 16 bytes that the hash of ``init(editing:isDeleted:body:attachments:)`` stands for.
    package static func digest(
        editing parent: Revision?, isDeleted: Bool, body: JSONObject, attachments: [AttachmentDigest] = []
    ) -> Insecure.MD5Digest {
        var term = ErlangTerm()
        term.reserve(256)
        term.listHeader(count: 5)
        term.atom(isDeleted ? "true" : "false")
        term.integer(parent?.generation ?? 0)
        if let parent { term.binary(rawHash(parent.hash)) } else { term.integer(0) }
        term.object(body)
        if attachments.isEmpty {
            term.emptyList()
        } else {
            term.listHeader(count: attachments.count)
            for attachment in attachments.reversed() {
                term.tupleHeader(count: 3)
                term.binary(attachment.name.utf8)
                term.binary(attachment.contentType.utf8)
                term.binary(attachment.md5)
            }
            term.emptyList()
        }
        term.emptyList()
        return Insecure.MD5.hash(data: term.bytes)
    }

    /// 32 hex digits stand for 16 bytes; any other hash stands for its own text.
    private static func rawHash(_ hash: String) -> [UInt8] {
        let digits = Array(hash.utf8)
        guard digits.count == 32 else { return digits }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: 32, by: 2) {
            guard let pair = UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16) else {
                return digits
            }
            bytes.append(pair)
        }
        return bytes
    }
}

/// Bytes as lower-case hex digits.
public func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    let bytes = Array(bytes)
    func digit(_ value: UInt8) -> UInt8 { value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") - 10 + value }
    return String(unsafeUninitializedCapacity: 2 * bytes.count) { text in
        for (index, byte) in bytes.enumerated() {
            text[2 * index] = digit(byte >> 4)
            text[2 * index + 1] = digit(byte & 15)
        }
        return 2 * bytes.count
    }
}

/// Writes JSON in Erlang's external term format (https://www.erlang.org/doc/apps/erts/erl_ext_dist), version 131.
private struct ErlangTerm {
    private(set) var bytes: [UInt8] = [131]

    mutating func reserve(_ count: Int) { bytes.reserveCapacity(count) }

    mutating func big<Number: FixedWidthInteger>(_ number: Number) {
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func atom(_ name: String) {
        bytes.append(100)
        big(UInt16(name.utf8.count))
        bytes.append(contentsOf: name.utf8)
    }

    mutating func binary(_ content: some Collection<UInt8>) {
        bytes.append(109)
        big(UInt32(content.count))
        bytes.append(contentsOf: content)
    }

    mutating func listHeader(count: Int) {
        bytes.append(108)
        big(UInt32(count))
    }

    mutating func emptyList() { bytes.append(106) }

    mutating func tupleHeader(count: UInt8) { bytes.append(contentsOf: [104, count]) }

    mutating func integer(_ value: Int) {
        if let small = UInt8(exactly: value) {
            bytes.append(contentsOf: [97, small])
        } else if let medium = Int32(exactly: value) {
            bytes.append(98)
            big(medium)
        } else {
            var magnitude = value.magnitude
            var digits: [UInt8] = []
            while magnitude > 0 {
                digits.append(UInt8(truncatingIfNeeded: magnitude))
                magnitude >>= 8
            }
            large(digits, isNegative: value < 0)
        }
    }

    /// An integer beyond 64 bits, from its decimal digits.
    mutating func integer(text: String) {
        // Eighteen digits at a time into words of 64 bits, lowest first.
        var words: [UInt64] = []
        var rest = Array(text.utf8.drop { $0 == UInt8(ascii: "-") })[...]
        while !rest.isEmpty {
            let group = rest.prefix(rest.count % 18 == 0 ? 18 : rest.count % 18)
            rest = rest.dropFirst(group.count)
            var carry = group.reduce(UInt64(0)) { $0 * 10 + UInt64($1 - 0x30) }
            let scale = group.reduce(UInt64(1)) { power, _ in power * 10 }
            for index in words.indices {
                let product = words[index].multipliedFullWidth(by: scale)
                let (low, overflow) = product.low.addingReportingOverflow(carry)
                words[index] = low
                carry = product.high + (overflow ? 1 : 0)
            }
            if carry > 0 { words.append(carry) }
        }
        var digits = words.flatMap { word in withUnsafeBytes(of: word.littleEndian, Array.init) }
        while digits.last == 0 { digits.removeLast() }
        large(digits, isNegative: text.hasPrefix("-"))
    }

    private mutating func large(_ digits: [UInt8], isNegative: Bool) {
        if digits.count < 256 {
            bytes.append(contentsOf: [110, UInt8(digits.count)])
        } else {
            bytes.append(111)
            big(UInt32(digits.count))
        }
        bytes.append(isNegative ? 1 : 0)
        bytes.append(contentsOf: digits)
    }

    mutating func value(_ json: JSON) {
        switch json {
        case .null: atom("null")
        case .bool(let flag): atom(flag ? "true" : "false")
        case .integer(let number): integer(number)
        case .decimal(let number) where number.isInteger: integer(text: number.text)
        case .decimal(let number):
            bytes.append(70)
            big(number.doubleValue.bitPattern)
        case .string(let text): binary(text.utf8)
        case .array(let elements): array(elements)
        case .object(let members): object(members)
        }
    }

    mutating func array(_ elements: [JSON]) {
        if elements.isEmpty {
            emptyList()
        } else if elements.count < 65536, let small = Self.bytes(of: elements) {
            bytes.append(107)
            big(UInt16(small.count))
            bytes.append(contentsOf: small)
        } else {
            listHeader(count: elements.count)
            for element in elements { value(element) }
            emptyList()
        }
    }

    /// The elements as bytes, when every one is an integer from 0 to 255: Erlang writes such a list as a string.
    private static func bytes(of elements: [JSON]) -> [UInt8]? {
        var result: [UInt8] = []
        for element in elements {
            guard let number = element.intValue, let byte = UInt8(exactly: number) else { return nil }
            result.append(byte)
        }
        return result
    }

    mutating func object(_ members: JSONObject) {
        tupleHeader(count: 1)
        if members.isEmpty {
            emptyList()
            return
        }
        listHeader(count: members.count)
        for member in members.entries {
            tupleHeader(count: 2)
            binary(member.name.utf8)
            value(member.value)
        }
        emptyList()
    }
}
