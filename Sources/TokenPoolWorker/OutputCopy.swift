import CouchDB
import CouchDocument
import Crypto
import FoundationEssentials
import Glibc
import TokenPool

/// An output that goes to a folder or a web server instead of into the database; the token keeps where it is, its
/// length and its SHA-256.
struct OutputCopy: Sendable {
    /// The file.
    let path: String
    /// Its name among the token's outputs.
    let name: String
    let contentType: String
    /// Where outputs of the token go: a folder, or a URL whose server takes `PUT`.
    let target: String
    let tokenID: String

    /// Where the file goes.
    var destination: String {
        let parts = name.split(separator: "/").map { isURL ? Self.encoded(String($0)) : String($0) }
        let base = target.hasSuffix("/") ? String(target.dropLast()) : target
        return ([base, isURL ? Self.encoded(Self.oneName(tokenID)) : Self.encoded(tokenID)] + parts).joined(
            separator: "/")
    }

    /// Where the file goes, for everybody's eyes.
    var shownDestination: String { isURL ? WebFile(url: destination).shown : destination }

    private var isURL: Bool { target.hasPrefix("http://") || target.hasPrefix("https://") }

    /// Copies the file and answers its entry for `uploads`.
    func run(_ threads: BlockingThreads) async throws -> JSON {
        let place = destination
        let digest: String
        let length: Int
        if isURL {
            (digest, length) = try await threads.run { try Self.digest(of: path) }
            try await WebFile(url: place).put(file: path, contentType: contentType)
        } else {
            guard place.hasPrefix("/") else {
                throw RunFailure("output_to \"\(target)\" is neither a URL nor the path of a folder from the root on")
            }
            (digest, length) = try await threads.run { try copy(to: place) }
        }
        return [
            "length": .integer(length), "content_type": .string(contentType), "location": .string(place),
            "sha256": .string(digest),
        ]
    }

    /// Written beside its place first: nobody ever finds half of it.
    private func copy(to place: String) throws -> (String, Int) {
        let folder = String(place[..<(place.lastIndex(of: "/") ?? place.startIndex)])
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let draft = place + ".part-" + String(UInt32.random(in: .min ... .max), radix: 36)
        let output = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard output >= 0 else { throw FileFailure("creating", draft) }
        var isDone = false
        defer { if !isDone { unlink(draft) } }
        let result: (String, Int)
        do {
            defer { close(output) }
            result = try Self.digest(of: path) { chunk in
                var rest = chunk
                while !rest.isEmpty {
                    let count = Glibc.write(output, rest.baseAddress, rest.count)
                    if count < 0 && errno == EINTR { continue }
                    guard count > 0 else { throw FileFailure("writing", draft) }
                    rest = UnsafeRawBufferPointer(rebasing: rest[count...])
                }
            }
            guard fsync(output) == 0 else { throw FileFailure("writing", draft) }
        }
        guard rename(draft, place) == 0 else { throw FileFailure("creating", place) }
        isDone = true
        return result
    }

    private static func digest(
        of path: String, _ use: (UnsafeRawBufferPointer) throws -> Void = { _ in }
    ) throws -> (String, Int) {
        let input = open(path, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw FileFailure("reading", path) }
        defer { close(input) }
        var hash = SHA256()
        var length = 0
        var chunk = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = read(input, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw FileFailure("reading", path) }
            if count == 0 { break }
            length += count
            try chunk.withUnsafeBytes { bytes in
                let part = UnsafeRawBufferPointer(rebasing: bytes[..<count])
                hash.update(bufferPointer: part)
                try use(part)
            }
        }
        let hex = hash.finalize().map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
        return (hex, length)
    }

    /// An id as a name that stays one name when a server decodes it: many take `%2F` for a slash.
    private static func oneName(_ id: String) -> String {
        let name = id.replacing("%", with: "%25").replacing("/", with: "%2F")
        return name == "." || name == ".." ? name.replacing(".", with: "%2E") : name
    }

    /// A name as one part of a path or URL: what is not a letter, a digit or `-._~` of ASCII becomes `%XX`.
    private static func encoded(_ name: String) -> String {
        let encoded = name.utf8.map { byte -> String in
            let character = Character(UnicodeScalar(byte))
            let isPlain = byte < 128 && (character.isLetter || character.isNumber || "-._~".contains(character))
            return isPlain ? String(character) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }.joined()
        return encoded == "." || encoded == ".." ? encoded.replacing(".", with: "%2E") : encoded
    }
}
