import Crypto

/// The SHA-256 of an archive, by which a sandbox is known everywhere.
package struct SandboxDigest: Hashable, Sendable, CustomStringConvertible {
    /// 64 lower-case hex digits.
    package let hex: String

    /// Reads 64 hex digits, with or without `sha256:` before them.
    package init?(_ text: String) {
        let digits = (text.hasPrefix("sha256:") ? String(text.dropFirst(7)) : text).lowercased()
        guard digits.utf8.count == 64,
            digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { return nil }
        hex = digits
    }

    init(_ digest: SHA256.Digest) { hex = Self.hexadecimal(digest) }

    /// The digest of some bytes.
    package init(of bytes: some Sequence<UInt8>) { self.init(SHA256.hash(data: Array(bytes))) }

    /// The digest of a file, read in pieces. Blocks: call it on a thread of its own.
    package init(ofFile path: String, cancellation: CancellationFlag? = nil) throws {
        let file = try OpenFile(reading: path)
        var hash = SHA256()
        var buffer = [UInt8](repeating: 0, count: 1 << 17)
        while true {
            try cancellation?.check()
            let count = try file.read(into: &buffer)
            if count == 0 { break }
            buffer.withUnsafeBytes { hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
        self.init(hash.finalize())
    }

    package var description: String { hex }

    static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
