import CouchDocument

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Holds a folder for one store; let go when this goes, also when the process is killed.
final class FolderLock: Sendable {
    private let descriptor: Int32

    /// - Throws: ``StoreError/Code/locked``, with the other's process id, when somebody has it.
    init(folder: String) throws {
        let path = folder + "/lock"
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw StoreError.system("open", path) }
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let number = errno
            let holder = Self.holder(descriptor)
            close(descriptor)
            guard number == EWOULDBLOCK else { throw StoreError.system("lock", path) }
            throw StoreError(
                .locked, "the data folder \(folder) is in use by\(holder): stop it first, or choose another folder")
        }
        let text = "\(getpid())\n"
        // Only for the message above: a lock without it is as good.
        _ = ftruncate(descriptor, 0)
        _ = text.withCString { pwrite(descriptor, $0, text.utf8.count, 0) }
    }

    deinit { close(descriptor) }

    private static func holder(_ descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 20)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        let digits = bytes.prefix(max(0, count)).prefix { (0x30...0x39).contains($0) }
        return digits.isEmpty ? " another process" : " process \(String(decoding: digits, as: UTF8.self))"
    }
}
