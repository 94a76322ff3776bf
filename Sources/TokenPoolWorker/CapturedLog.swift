import CSpawn
import Glibc

/// A file that takes a command's output as it comes, and keeps its head and tail when it is long.
///
/// The command writes into the file itself, at its end. What lies between head and tail of a file beyond the limit is
/// given back to the file system while the command runs, so endless output does not fill the disk.
struct CapturedLog: Sendable {
    /// Where it is.
    let path: String
    /// How many bytes are kept.
    let limit: Int
    /// The file, open for reading and writing; closed by ``close()``.
    let descriptor: Int32

    /// Creates the file.
    init(path: String, limit: Int) throws {
        self.path = path
        self.limit = max(2, limit)
        descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileFailure("creating", path) }
    }

    /// A file that is open and empty.
    init(path: String, limit: Int, descriptor: Int32) {
        self.path = path
        self.limit = limit
        self.descriptor = descriptor
    }

    func close() { Glibc.close(descriptor) }

    /// Opens it once more, for a command: what the command leaves behind can be told from ourselves then.
    func openForCommand() throws -> Int32 {
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileFailure("opening", path) }
        return descriptor
    }

    /// How long the output is, with what was cut.
    var length: Int {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
    }

    /// Gives back the space of what will not be kept. Without effect where the file system can not.
    func trim() {
        let block = 4096
        let start = (limit / 2 + block - 1) / block * block
        let end = (length - limit / 2) / block * block
        guard end - start > 1 << 20 else { return }
        _ = tokenpool_punch_hole(descriptor, off_t(start), off_t(end - start))
    }

    /// What is kept: all, or head and tail with a line between them that says how much is missing.
    func kept() throws -> [UInt8] {
        let length = length
        guard length > limit else { return try read(from: 0, count: length) }
        let half = limit / 2
        let mark = "\n[\(length - 2 * half) of \(length) bytes cut here]\n"
        return try read(from: 0, count: half) + mark.utf8 + read(from: length - half, count: half)
    }

    private func read(from start: Int, count: Int) throws -> [UInt8] {
        guard count > 0 else { return [] }
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let got = pread(descriptor, buffer.baseAddress! + filled, count - filled, off_t(start + filled))
                if got < 0 && errno == EINTR { continue }
                if got < 0 { failed = true }
                if got <= 0 { break }
                filled += got
            }
        }
        if failed { throw FileFailure("reading", path) }
        return bytes
    }
}

/// A file or folder that could not be used.
struct FileFailure: Error, CustomStringConvertible {
    let description: String

    /// Takes the reason from `errno`.
    init(_ action: String, _ path: String) {
        description = "\(action) \(path): \(String(cString: strerror(errno)))"
    }
}
