import CArchive
import Glibc

/// How much an archive may grow into.
package struct UnpackLimits: Hashable, Sendable {
    package var bytes: Int
    package var entries: Int

    package init(bytes: Int = 64 << 30, entries: Int = 1_000_000) {
        self.bytes = bytes
        self.entries = entries
    }
}

/// Unpacks an archive that nobody vouches for into a new, empty folder.
///
/// Files and folders come first; links are made at the end, so that nothing is ever written through one. Refused are names
/// that are absolute or hold `..`, links that lead out of the folder, devices, pipes and sockets, and more than the
/// limits. Owners, set-user and set-group bits and extended attributes are not taken over. Blocks: use it on a thread of
/// its own.
struct Unpacker {
    struct Summary { var bytes = 0, entries = 0 }

    let archivePath: String
    let folder: [UInt8]
    let limits: UnpackLimits
    let cancellation: CancellationFlag
    private var summary = Summary()
    private var links: [(path: [UInt8], target: [UInt8])] = []

    /// Unpacks into `folder`, which must exist.
    static func unpack(
        _ archive: String, into folder: String, limits: UnpackLimits, cancellation: CancellationFlag
    ) throws -> Summary {
        // Links on the way to the folder are the owner's; only those within are suspicious.
        var unpacker = Unpacker(
            archivePath: archive, folder: Array(try resolved(folder).utf8), limits: limits, cancellation: cancellation)
        // libarchive tells UTF-8 names of zip and pax archives only in a locale that has them; a Swift program runs in
        // "C". Only this thread changes its mind.
        let unicode = newlocale(CInt(1) << LC_CTYPE, "C.UTF-8", nil)
        let before = unicode.map { uselocale($0) }
        defer {
            if let before { uselocale(before) }
            if let unicode { freelocale(unicode) }
        }
        try unpacker.run()
        return unpacker.summary
    }

    /// Unpacks the archive for nothing but to see that it can be.
    static func verify(_ archive: String, limits: UnpackLimits = UnpackLimits(), cancellation: CancellationFlag) throws
    {
        let folder = "\(archive).check"
        try makeFolders(folder, mode: 0o700)
        defer { try? removeTree(folder) }
        _ = try unpack(archive, into: folder, limits: limits, cancellation: cancellation)
    }

    private init(archivePath: String, folder: [UInt8], limits: UnpackLimits, cancellation: CancellationFlag) {
        self.archivePath = archivePath
        self.folder = folder
        self.limits = limits
        self.cancellation = cancellation
    }

    private mutating func run() throws {
        guard let reader = archive_read_new(), let disk = archive_write_disk_new() else {
            throw SandboxError(.failed, "no memory to unpack \(archivePath)")
        }
        defer {
            archive_read_free(reader)
            archive_write_free(disk)
        }
        archive_read_support_format_tar(reader)
        archive_read_support_format_zip(reader)
        archive_read_support_filter_gzip(reader)
        archive_read_support_filter_bzip2(reader)
        archive_read_support_filter_xz(reader)
        archive_read_support_filter_zstd(reader)
        archive_write_disk_set_options(
            disk,
            ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_SECURE_SYMLINKS
                | ARCHIVE_EXTRACT_SECURE_NODOTDOT)
        guard archive_read_open_filename(reader, archivePath, 1 << 17) >= ARCHIVE_WARN else { throw unreadable(reader) }

        while true {
            try cancellation.check()
            var entry: OpaquePointer?
            let status = archive_read_next_header(reader, &entry)
            if status == ARCHIVE_EOF { break }
            guard status >= ARCHIVE_WARN, let entry else { throw unreadable(reader) }
            summary.entries += 1
            guard summary.entries <= limits.entries else {
                throw refused("it holds more than \(limits.entries) entries")
            }
            try unpack(entry, from: reader, to: disk)
        }
        // Also sets the times and modes of folders.
        guard archive_write_close(disk) >= ARCHIVE_WARN else { throw unwritable(disk) }
        try makeLinks()
    }

    private mutating func unpack(_ entry: OpaquePointer, from reader: OpaquePointer, to disk: OpaquePointer) throws {
        guard let name = bytes(archive_entry_pathname(entry)) ?? bytes(archive_entry_pathname_utf8(entry)) else {
            throw refused("the name of its entry \(summary.entries) can not be read")
        }
        guard let path = try safePath(name, "it holds the name") else { return }  // "." itself

        if let hardlink = bytes(archive_entry_hardlink(entry)) ?? bytes(archive_entry_hardlink_utf8(entry)) {
            guard let target = try safePath(hardlink, "\(path.shown) is a hard link to") else {
                throw refused("\(path.shown) is a hard link to its folder")
            }
            if let link = links.first(where: { $0.path == target }) {
                links.append((path, relinked(link.target, from: target, to: path)))
                return
            }
            folder.appending(target).withPath { archive_entry_copy_hardlink(entry, $0) }
        } else {
            switch mode_t(archive_entry_filetype(entry)) {
            case S_IFREG: archive_entry_set_perm(entry, archive_entry_perm(entry) & 0o777 | 0o400)
            case S_IFDIR: archive_entry_set_perm(entry, archive_entry_perm(entry) & 0o777 | 0o700)
            case S_IFLNK:
                guard let target = bytes(archive_entry_symlink(entry)) ?? bytes(archive_entry_symlink_utf8(entry))
                else {
                    throw refused("the target of the link \(path.shown) can not be read")
                }
                links.append((path, target))
                return
            default: throw refused("\(path.shown) is no file, folder or link")
            }
        }
        folder.appending(path).withPath { archive_entry_copy_pathname(entry, $0) }
        guard archive_write_header(disk, entry) >= ARCHIVE_WARN else { throw unwritable(disk) }
        if archive_entry_hardlink(entry) == nil || archive_entry_size(entry) > 0 { try copyData(reader, disk) }
        guard archive_write_finish_entry(disk) >= ARCHIVE_WARN else { throw unwritable(disk) }
    }

    private mutating func copyData(_ reader: OpaquePointer, _ disk: OpaquePointer) throws {
        let before = summary.bytes
        while true {
            try cancellation.check()
            var block: UnsafeRawPointer?
            var count = 0
            var offset: la_int64_t = 0
            let status = archive_read_data_block(reader, &block, &count, &offset)
            if status == ARCHIVE_EOF { return }
            guard status >= ARCHIVE_WARN else { throw unreadable(reader) }
            // Counted by place and not by what was read, so that holes count too.
            summary.bytes = max(summary.bytes, before + Int(offset) + count)
            guard summary.bytes <= limits.bytes else { throw refused("it grows beyond \(limits.bytes) bytes") }
            guard archive_write_data_block(disk, block, count, offset) >= ARCHIVE_WARN else { throw unwritable(disk) }
        }
    }

    /// Makes the links, then makes sure that none of them, by way of any other, leads out.
    private func makeLinks() throws {
        for (path, target) in links {
            let full = folder.appending(path)
            let parent = Array(full[..<(full.lastIndex(of: UInt8(ascii: "/")) ?? 0)])
            try makeParents(parent, below: folder)
            guard target.withPath({ text in full.withPath { symlink(text, $0) } }) == 0 else {
                throw systemError("make the link", path)
            }
        }
        for (path, target) in links where !LinkCheck.staysInside(root: folder, path: path, target: target) {
            throw refused("the link \(path.shown) leads out of its folder, to \(target.shown)")
        }
    }

    private func makeParents(_ path: [UInt8], below root: [UInt8]) throws {
        guard path.count > root.count else { return }
        if let status = FileStatus(bytes: path) {
            guard status.kind == .folder else {
                throw refused("\(path.dropFirst(root.count + 1).map { $0 }.shown) is a link and a folder")
            }
            return
        }
        try makeParents(Array(path[..<(path.lastIndex(of: UInt8(ascii: "/")) ?? 0)]), below: root)
        guard path.withPath({ mkdir($0, 0o755) }) == 0 else { throw systemError("make the folder", path) }
    }

    /// The name without empty and `.` segments; `nil` when nothing is left.
    private func safePath(_ name: [UInt8], _ what: String) throws -> [UInt8]? {
        guard name.first != UInt8(ascii: "/") else { throw refused("\(what) \(name.shown), which is absolute") }
        let segments = name.split(separator: UInt8(ascii: "/")).map(Array.init).filter { $0 != [0x2E] }
        guard !segments.contains([0x2E, 0x2E]) else {
            throw refused("\(what) \(name.shown), which leads out of its folder")
        }
        return segments.isEmpty ? nil : Array(segments.joined(separator: [UInt8(ascii: "/")]))
    }

    /// A link's target as seen from another place.
    private func relinked(_ target: [UInt8], from old: [UInt8], to new: [UInt8]) -> [UInt8] {
        guard target.first != UInt8(ascii: "/") else { return target }
        let up = Array(repeating: Array("../".utf8), count: new.filter { $0 == UInt8(ascii: "/") }.count).joined()
        let parent = old.lastIndex(of: UInt8(ascii: "/")).map { Array(old[...$0]) } ?? []
        return Array(up) + parent + target
    }

    private func bytes(_ text: UnsafePointer<CChar>?) -> [UInt8]? {
        text.map { UnsafeBufferPointer(start: $0, count: strlen($0)).map { UInt8(bitPattern: $0) } }
    }

    private func refused(_ reason: String) -> SandboxError {
        SandboxError(.unsafe, "the archive \(archivePath) was not unpacked: \(reason)")
    }

    private func unreadable(_ reader: OpaquePointer) -> SandboxError {
        let reason = archive_error_string(reader).map { String(cString: $0) } ?? "unknown error"
        return SandboxError(
            .illFormed,
            "could not read the archive \(archivePath) (tar, tar.gz, tar.xz, tar.zst, tar.bz2 or zip): \(reason)")
    }

    private func unwritable(_ disk: OpaquePointer) -> SandboxError {
        let reason = archive_error_string(disk).map { String(cString: $0) } ?? "unknown error"
        return SandboxError(.failed, "could not unpack the archive \(archivePath): \(reason)")
    }
}
