import Glibc

/// What the file system says of one name.
package struct FileStatus: Hashable, Sendable {
    package enum Kind: Hashable, Sendable { case file, folder, link, other }

    package let kind: Kind
    package let mode: UInt32
    package let size: Int
    /// Nanoseconds since 1970.
    package let modified: Int
    package let inode: UInt64

    /// `nil`: there is nothing of that name. Links are not followed unless asked for.
    package init?(_ path: String, followingLinks: Bool = false) {
        self.init(bytes: Array(path.utf8), followingLinks: followingLinks)
    }

    init?(bytes path: [UInt8], followingLinks: Bool = false) {
        var value = stat()
        let result = path.withPath { followingLinks ? stat($0, &value) : lstat($0, &value) }
        guard result == 0 else { return nil }
        self.init(value)
    }

    init(_ value: stat) {
        kind =
            switch value.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .folder
            case S_IFLNK: .link
            default: .other
            }
        mode = value.st_mode & 0o7777
        size = Int(value.st_size)
        modified = value.st_mtim.tv_sec * 1_000_000_000 + value.st_mtim.tv_nsec
        inode = UInt64(value.st_ino)
    }

    /// Whether there is a folder of that name, links followed.
    package static func isFolder(_ path: String) -> Bool { FileStatus(path, followingLinks: true)?.kind == .folder }
}

extension [UInt8] {
    /// The bytes as a C string.
    func withPath<Result>(_ body: (UnsafePointer<CChar>) throws -> Result) rethrows -> Result {
        try (self + [0]).withUnsafeBufferPointer { bytes in
            try bytes.withMemoryRebound(to: CChar.self) { try body($0.baseAddress!) }
        }
    }

    /// The bytes for a message; what is not UTF-8 shows as U+FFFD.
    var shown: String { String(decoding: self, as: UTF8.self) }

    /// A path below a folder.
    func appending(_ name: [UInt8]) -> [UInt8] { isEmpty ? name : self + [UInt8(ascii: "/")] + name }

    /// Where a symbolic link points.
    var linkTarget: [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = withPath { path in
            buffer.withUnsafeMutableBytes {
                readlink(path, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
            }
        }
        return count < 0 ? nil : Array(buffer[..<count])
    }
}

/// The last error of the system as an error about a path.
func systemError(_ attempt: String, _ path: [UInt8], _ code: SandboxError.Code = .failed) -> SandboxError {
    let number = errno
    return SandboxError(
        number == ENOENT ? .missing : code, "could not \(attempt) \(path.shown): \(String(cString: strerror(number)))")
}

func systemError(_ attempt: String, _ path: String, _ code: SandboxError.Code = .failed) -> SandboxError {
    systemError(attempt, Array(path.utf8), code)
}
