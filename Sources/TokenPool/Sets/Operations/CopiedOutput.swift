import CouchDB
import CouchDocument
import Crypto
import Foundation

/// An output that a worker put elsewhere (`pool.output_to`), as its entry in `uploads` tells: fetched, and only kept when
/// it is what the worker wrote.
struct CopiedOutput: Sendable {
    /// A path from the root on, or a URL.
    let location: String
    let length: Int?
    /// In hexadecimal digits.
    let sha256: String?

    /// Reads an entry of `uploads`; `nil` for a file that is attached.
    init?(_ entry: JSON) {
        guard let location = entry["location"]?.stringValue else { return nil }
        self.location = location
        length = entry["length"]?.intValue
        sha256 = entry["sha256"]?.stringValue
    }

    /// Brings the file to a path, where it appears only when it is whole.
    func fetch(to path: String) async throws {
        let draft = path + ".part"
        var isDone = false
        // When even that fails, the next run writes over it.
        defer { if !isDone { try? FileManager.default.removeItem(atPath: draft) } }
        let digest: String
        let size: Int
        if location.hasPrefix("http://") || location.hasPrefix("https://") {
            (digest, size) = try await download(to: draft)
        } else if location.hasPrefix("/") {
            (digest, size) = try await copy(to: draft)
        } else {
            throw PoolError(.badInput, "\(location) is neither a URL nor a path from the root on")
        }
        if let length, length != size {
            throw PoolError(.badInput, "\(location) has \(size) bytes, and the worker wrote \(length): it is not kept")
        }
        if let sha256, sha256 != digest {
            throw PoolError(.badInput, "\(location) has another SHA-256 than what the worker wrote: it is not kept")
        }
        guard rename(draft, path) == 0 else {
            throw PoolError(.badInput, "writing \(path)", cause: String(cString: strerror(errno)))
        }
        isDone = true
    }

    private func download(to draft: String) async throws -> (String, Int) {
        let file = try Self.create(draft)
        var hash = SHA256()
        var size = 0
        do {
            try await WebFile(url: location).get { chunk in
                hash.update(data: chunk)
                size += chunk.count
                try file.write(contentsOf: Data(chunk))
            }
        } catch {
            // What went wrong with the transfer is what counts.
            try? file.close()
            throw error
        }
        try file.close()
        return (Self.hexadecimal(hash), size)
    }

    /// On a thread that may wait for a slow file system.
    private func copy(to draft: String) async throws -> (String, Int) {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result {
                        guard let source = FileHandle(forReadingAtPath: location) else {
                            throw PoolError(.badInput, "there is no readable file \(location) on this machine")
                        }
                        let file = try Self.create(draft)
                        var hash = SHA256()
                        var size = 0
                        while let chunk = try source.read(upToCount: 1 << 20), !chunk.isEmpty {
                            hash.update(data: chunk)
                            size += chunk.count
                            try file.write(contentsOf: chunk)
                        }
                        try file.close()
                        return (Self.hexadecimal(hash), size)
                    })
            }
        }
    }

    private static func create(_ path: String) throws -> FileHandle {
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let file = FileHandle(forWritingAtPath: path)
        else { throw PoolError(.badInput, "\(path) can not be written") }
        return file
    }

    private static func hexadecimal(_ hash: SHA256) -> String {
        hash.finalize().map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }
}
