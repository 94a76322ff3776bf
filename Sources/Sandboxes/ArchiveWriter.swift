import CArchive
import Glibc

/// Writes a `tar.gz` that depends on nothing but names, contents and modes: the same files give the same bytes.
///
/// The format is GNU tar, which holds names as plain bytes of any length. Blocks: use it on a thread of its own.
struct ArchiveWriter: ~Copyable {
    /// 1 January 1980, the first time that every archive format can say.
    private static let time: time_t = 315_532_800

    private let archive: OpaquePointer
    private let path: String
    private var buffer = [UInt8](repeating: 0, count: 1 << 17)

    init(path: String) throws {
        self.path = path
        archive = archive_write_new()
        try check(archive_write_set_format_gnutar(archive))
        try check(archive_write_add_filter_gzip(archive))
        // gzip's header would hold the time of writing.
        try check(archive_write_set_options(archive, "gzip:!timestamp,gzip:compression-level=6"))
        try check(archive_write_open_filename(archive, path))
    }

    deinit { archive_write_free(archive) }

    /// Adds an entry; a file's content is read from `source`.
    mutating func add(_ entry: FolderTree.Entry, mode: UInt32, source: [UInt8], cancellation: CancellationFlag) throws {
        let header = archive_entry_new()
        defer { archive_entry_free(header) }
        entry.path.withPath { archive_entry_copy_pathname(header, $0) }
        archive_entry_set_perm(header, mode & 0o777)
        archive_entry_set_mtime(header, Self.time, 0)
        archive_entry_set_uid(header, 0)
        archive_entry_set_gid(header, 0)
        switch entry.status.kind {
        case .folder: archive_entry_set_filetype(header, Glibc.S_IFDIR)
        case .link:
            archive_entry_set_filetype(header, Glibc.S_IFLNK)
            (entry.target ?? []).withPath { archive_entry_copy_symlink(header, $0) }
        default:
            archive_entry_set_filetype(header, Glibc.S_IFREG)
            archive_entry_set_size(header, Int64(entry.status.size))
        }
        try check(archive_write_header(archive, header))
        if entry.status.kind == .file { try copy(source, size: entry.status.size, cancellation) }
    }

    private mutating func copy(_ source: [UInt8], size: Int, _ cancellation: CancellationFlag) throws {
        let descriptor = source.withPath { open($0, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) }
        guard descriptor >= 0 else { throw systemError("read", source) }
        let file = OpenFile(descriptor: descriptor, path: source.shown)
        var total = 0
        while true {
            try cancellation.check()
            let count = try file.read(into: &buffer)
            if count == 0 { break }
            total += count
            guard total <= size else { break }
            let written = buffer.withUnsafeBytes { archive_write_data(archive, $0.baseAddress, count) }
            guard written == count else { throw failure }
        }
        guard total == size else {
            throw SandboxError(.failed, "\(source.shown) changed while it was packed: build the sandbox again")
        }
    }

    /// Writes the end of the archive.
    consuming func finish() throws { try check(archive_write_close(archive)) }

    private var failure: SandboxError {
        let reason = archive_error_string(archive).map { String(cString: $0) } ?? "unknown error"
        return SandboxError(.failed, "could not write the archive \(path): \(reason)")
    }

    private func check(_ status: CInt) throws { if status < ARCHIVE_WARN { throw failure } }
}
