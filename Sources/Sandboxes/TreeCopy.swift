import Glibc

/// Copies a tree, sharing blocks with the original where the file system can (reflinks), so that a token may change its
/// files and never the original. Blocks: use it on a thread of its own.
enum TreeCopy {
    /// Linux' `FICLONE`, from linux/fs.h; a macro that Swift does not see.
    private static let cloneRequest: UInt = 0x4004_9409

    static func copy(_ source: String, into target: String, cancellation: CancellationFlag) throws {
        let root = Array(try resolved(target).utf8)
        let tree = try FolderTree(Array(source.utf8), cancellation: cancellation)
        for entry in tree.entries {
            try cancellation.check()
            let to = root.appending(entry.path)
            switch entry.status.kind {
            case .folder:
                guard to.withPath({ mkdir($0, 0o700) }) == 0 || FileStatus(bytes: to)?.kind == .folder else {
                    throw systemError("make the folder", to)
                }
            case .link:
                let target = entry.target ?? []
                guard target.withPath({ text in to.withPath { symlink(text, $0) } }) == 0 else {
                    throw systemError("make the link", to)
                }
            case .file:
                let from = tree.root.appending(entry.path)
                if entry.status.mode & 0o111 != 0 {
                    try SpawnGate.writingProgram { try copyFile(from, to, entry.status, cancellation) }
                } else {
                    try copyFile(from, to, entry.status, cancellation)
                }
            case .other: throw SandboxError(.unsafe, "\(entry.path.shown) is no file, folder or link")
            }
        }
        // Deepest first: a folder that may not be written to has its files by then.
        for entry in tree.entries.reversed() where entry.status.kind == .folder {
            let to = root.appending(entry.path)
            _ = to.withPath { chmod($0, entry.status.mode & 0o777) }
            setTime(to, entry.status.modified)
        }
    }

    private static func copyFile(
        _ source: [UInt8], _ target: [UInt8], _ status: FileStatus, _ cancellation: CancellationFlag
    ) throws {
        let input = source.withPath { open($0, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) }
        guard input >= 0 else { throw systemError("read", source) }
        let from = OpenFile(descriptor: input, path: source.shown)
        let output = target.withPath { open($0, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600) }
        guard output >= 0 else { throw systemError("write", target) }
        let to = OpenFile(descriptor: output, path: target.shown)
        if status.size > 0 { try copyContent(from, to: to, cancellation) }
        fchmod(to.descriptor, status.mode & 0o777)
        setTime(target, status.modified)
    }

    /// Shares the blocks, or else copies the bytes.
    static func copyContent(_ from: OpenFile, to: OpenFile, _ cancellation: CancellationFlag) throws {
        if ioctl(to.descriptor, cloneRequest, from.descriptor) == 0 { return }
        var buffer = [UInt8](repeating: 0, count: 1 << 17)
        while true {
            try cancellation.check()
            let count = try from.read(into: &buffer)
            if count == 0 { return }
            var done = 0
            while done < count {
                let written = buffer.withUnsafeBytes { write(to.descriptor, $0.baseAddress! + done, count - done) }
                if written < 0 && errno == EINTR { continue }
                guard written > 0 else { throw systemError("write", to.path) }
                done += written
            }
        }
    }

    /// Build tools look at times, so they are kept.
    private static func setTime(_ path: [UInt8], _ nanoseconds: Int) {
        let time = timespec(tv_sec: nanoseconds / 1_000_000_000, tv_nsec: nanoseconds % 1_000_000_000)
        let times = [time, time]
        _ = path.withPath { utimensat(AT_FDCWD, $0, times, AT_SYMLINK_NOFOLLOW) }
    }
}
