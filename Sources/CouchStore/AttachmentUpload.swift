import CouchDocument
import Crypto
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Takes in the bytes of an attachment piece by piece: small ones in memory, large ones in a file.
///
/// One caller at a time. An upload that is dropped before ``finish()`` leaves nothing behind.
package final class AttachmentUpload: Sendable {
    private struct State {
        var digest = Insecure.MD5()
        var length = 0
        var memory: [UInt8] = []
        var file: UploadedFile?
        var descriptor: Int32 = -1
    }

    private let store: AttachmentStore
    /// Protects what was taken in, although callers take turns: they can come from several threads.
    private let state = Mutex(State())

    init(store: AttachmentStore) { self.store = store }

    deinit {
        let descriptor = state.withLock { $0.descriptor }
        if descriptor >= 0 { close(descriptor) }
    }

    /// The number of bytes so far.
    package var length: Int { state.withLock { $0.length } }

    /// Adds bytes; returns when they are taken, so a fast sender is held back.
    package func append(_ bytes: [UInt8]) async throws {
        let mustSpill = state.withLock { state in
            state.digest.update(data: bytes)
            state.length += bytes.count
            state.memory.append(contentsOf: bytes)
            return state.memory.count > AttachmentStore.largestInDatabase
        }
        if mustSpill { try await store.perform { try self.spill() } }
    }

    /// Ends it: large contents are synchronised to disk.
    package func finish() async throws -> UploadedContent {
        if state.withLock({ $0.descriptor >= 0 }) {
            try await store.perform {
                try self.spill()
                try self.state.withLock { state in
                    let path = state.file?.path ?? ""
                    if fdatasync(state.descriptor) != 0 { throw StoreError.system("synchronise", path) }
                    close(state.descriptor)
                    state.descriptor = -1
                }
            }
        }
        return state.withLock { state in
            UploadedContent(
                md5: Array(state.digest.finalize()), length: state.length,
                location: state.file.map { .file($0) } ?? .memory(state.memory))
        }
    }

    /// Writes what is in memory to the file.
    private func spill() throws {
        try state.withLock { state in
            if state.file == nil {
                try makeFolder(store.folder)
                let name = (0..<16).map { _ in UInt8.random(in: 0...255) }
                let path = "\(store.folder)/upload-\(hexadecimal(name))"
                state.descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
                guard state.descriptor >= 0 else { throw StoreError.system("make", path) }
                state.file = UploadedFile(path: path)
            }
            let path = state.file?.path ?? ""
            let descriptor = state.descriptor
            try state.memory.withUnsafeBytes { bytes in
                var offset = 0
                while offset < bytes.count {
                    let count = write(descriptor, bytes.baseAddress! + offset, bytes.count - offset)
                    if count < 0 && errno == EINTR { continue }
                    guard count > 0 else { throw StoreError.system("write", path) }
                    offset += count
                }
            }
            state.memory.removeAll(keepingCapacity: true)
        }
    }
}

/// The stored bytes of an attachment, open for reading: they stay readable when the attachment is removed meanwhile.
package struct AttachmentContent: Sendable {
    enum Source: Sendable {
        case memory([UInt8])
        case file(OpenFile, AttachmentStore)
    }

    /// Their number.
    package let length: Int
    let source: Source

    /// Up to `count` bytes from `offset`; fewer only at the end.
    package func read(at offset: Int, count: Int) async throws -> [UInt8] {
        let start = min(max(0, offset), length)
        let end = min(length, start + max(0, count))
        switch source {
        case .memory(let bytes): return Array(bytes[start..<end])
        case .file(let file, let store): return try await store.perform { try file.read(start..<end) }
        }
    }
}

/// A file open for reading; closed when nobody holds it any more.
final class OpenFile: Sendable {
    private let path: String
    private let descriptor: Int32

    init(path: String) throws {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 { throw StoreError.system("open", path) }
    }

    deinit { close(descriptor) }

    func read(_ range: Range<Int>) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: range.count) { buffer, filled in
            while filled < range.count {
                let count = pread(
                    descriptor, buffer.baseAddress! + filled, range.count - filled, off_t(range.lowerBound + filled))
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { throw StoreError.system("read", path) }
                filled += count
            }
        }
    }
}
