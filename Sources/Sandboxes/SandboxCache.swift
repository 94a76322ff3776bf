import CouchDB
import CouchDocument
import Glibc
import Logging

/// A sandbox that lies unpacked in the cache. While a value of this type lives, the cache keeps it.
package struct PreparedSandbox: Sendable {
    /// The digest of its archive.
    package let digest: SandboxDigest
    /// What its files take, in bytes.
    package let bytes: Int
    package let entries: Int
    let tree: String
    private let lock: FileLock

    init(digest: SandboxDigest, bytes: Int, entries: Int, tree: String, lock: FileLock) {
        self.digest = digest
        self.bytes = bytes
        self.entries = entries
        self.tree = tree
        self.lock = lock
    }
}

/// The sandboxes of a machine, each fetched, verified and unpacked once, whoever and how many ask for it.
///
/// Any number of processes may share the folder: whoever prepares a sandbox holds a lock on it, works under a temporary
/// name and renames when all is done, so that a crash leaves nothing half-made that counts. Below the folder:
/// `sandboxes/<sha256>/{archive,tree,entry.json}`, `index` (digests of sources that carry none), `locks`, `temporary`.
package struct SandboxCache: Sendable {
    package let folder: String
    /// When the sandboxes take more than this, those not used for longest go.
    package let sizeLimit: Int
    package let limits: UnpackLimits
    let logger: Logger

    package init(
        folder: String, sizeLimit: Int = 20 << 30, limits: UnpackLimits = UnpackLimits(),
        logger: Logger = Logger(label: "tokenpool.sandboxes")
    ) throws {
        for name in ["", "/sandboxes", "/index", "/locks", "/temporary"] { try makeFolders(folder + name, mode: 0o700) }
        self.folder = try resolved(folder)
        self.sizeLimit = sizeLimit
        self.limits = limits
        self.logger = logger
    }

    /// The cache of this person on this machine: `$TOKENPOOL_CACHE`, else `$XDG_CACHE_HOME/tokenpool`, else
    /// `~/.cache/tokenpool`.
    package static func defaultFolder(environment: [String: String]) -> String {
        if let folder = environment["TOKENPOOL_CACHE"], !folder.isEmpty { return folder }
        if let folder = environment["XDG_CACHE_HOME"], !folder.isEmpty { return "\(folder)/tokenpool" }
        return "\(environment["HOME"] ?? "/tmp")/.cache/tokenpool"
    }

    /// Sees to it that the sandbox lies unpacked in the cache.
    ///
    /// - Parameters:
    ///   - database: The database of the token, for sandboxes that are attachments.
    ///   - token: The id of the token, for an attachment of the token itself.
    ///   - base: The folder that relative paths start from.
    /// - Throws: ``SandboxError`` with code `mismatch` when the archive is not what the specification's digest says, and
    ///   `unsafe` when it holds what must not be unpacked. Nothing of it stays in the cache then.
    package func prepare(
        _ spec: SandboxSpec, database: Database? = nil, token: String? = nil, relativeTo base: String = "."
    ) async throws -> PreparedSandbox {
        if let digest = spec.digest, let prepared = try await existing(digest) { return prepared }
        var source = try CacheSource(spec, database: database, token: token, base: base)
        try await source.pin()
        // Whoever comes second finds the work done.
        let lock = try await FileLock.take(path("locks", "\(source.key).prepare"))
        defer { withExtendedLifetime(lock) {} }
        for digest in [spec.digest, rememberedDigest(source.key)] {
            guard let digest, spec.digest == nil || spec.digest == digest else { continue }
            if let prepared = try await existing(digest) { return prepared }
        }

        let work = path("temporary", "\(getpid())-\(UInt64.random(in: 0 ... .max))")
        try makeFolders("\(work)/tree", mode: 0o700)
        let digest: SandboxDigest
        do {
            try await source.fetch(to: "\(work)/archive")
            digest = try await unpackArchive(in: work, expected: spec.digest, source: spec.summary)
        } catch {
            await discard(work)
            throw error
        }
        let final = path("sandboxes", digest.hex)
        if rename(work, final) != 0 {
            // Already there, from another source with the same content.
            let isThere = FileStatus.isFolder(final)
            let failure = systemError("keep the sandbox", final)
            await discard(work)
            if !isThere { throw failure }
        }
        try remember(digest, for: source.key)
        guard let prepared = try await existing(digest) else {
            throw SandboxError(.failed, "the sandbox \(digest) vanished from \(folder) while it was prepared")
        }
        logger.debug("prepared a sandbox", metadata: ["sandbox": "\(digest)", "bytes": "\(prepared.bytes)"])
        try await evict()
        return prepared
    }

    /// Copies the sandbox into a work folder, which must exist. What is there already stays, but the sandbox's files must
    /// be new.
    package func unpack(_ prepared: PreparedSandbox, into folder: String) async throws {
        try await onOwnThread { flag in
            try TreeCopy.copy(prepared.tree, into: folder, cancellation: flag)
        }
        withExtendedLifetime(prepared) {}
    }

    private func unpackArchive(in work: String, expected: SandboxDigest?, source: String) async throws -> SandboxDigest
    {
        let limits = limits
        return try await onOwnThread { flag in
            let digest = try SandboxDigest(ofFile: "\(work)/archive", cancellation: flag)
            if let expected, expected != digest {
                throw SandboxError(
                    .mismatch,
                    "the sandbox from \(source) has SHA-256 \(digest) and not \(expected) as its token says: it was changed or damaged; build it again or correct the token"
                )
            }
            let summary = try Unpacker.unpack(
                "\(work)/archive", into: "\(work)/tree", limits: limits, cancellation: flag)
            let size = FileStatus("\(work)/archive")?.size ?? 0
            let entry: JSON = [
                "sha256": .string(digest.hex), "source": .string(source), "bytes": .integer(summary.bytes),
                "entries": .integer(summary.entries), "archive_bytes": .integer(size),
            ]
            try writeFile("\(work)/entry.json", entry.encoded())
            return digest
        }
    }

    /// The entry of that digest, marked as used just now.
    private func existing(_ digest: SandboxDigest) async throws -> PreparedSandbox? {
        let place = path("sandboxes", digest.hex)
        guard FileStatus.isFolder(place) else { return nil }
        let lock = try await FileLock.take(path("locks", "\(digest.hex).use"), shared: true)
        guard let bytes = try? readFile("\(place)/entry.json"), let entry = try? JSON(parsing: bytes) else {
            return nil
        }
        utimensat(AT_FDCWD, "\(place)/entry.json", nil, 0)
        return PreparedSandbox(
            digest: digest, bytes: entry["bytes"]?.intValue ?? 0, entries: entry["entries"]?.intValue ?? 0,
            tree: "\(place)/tree", lock: lock)
    }

    func path(_ room: String, _ name: String) -> String { "\(folder)/\(room)/\(name)" }

    private func rememberedDigest(_ key: String) -> SandboxDigest? {
        (try? readFile(path("index", key))).flatMap { SandboxDigest(String(decoding: $0, as: UTF8.self)) }
    }

    private func remember(_ digest: SandboxDigest, for key: String) throws {
        guard key != digest.hex else { return }
        try writeFile(path("index", key), Array(digest.hex.utf8))
    }
}

/// Writes under a temporary name, then renames.
func writeFile(_ path: String, _ bytes: [UInt8]) throws {
    let temporary = "\(path).\(getpid())-\(UInt32.random(in: 0 ... .max))"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw systemError("write", temporary) }
    let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
    guard count == bytes.count, rename(temporary, path) == 0 else {
        let failure = systemError("write", path)
        unlink(temporary)
        throw failure
    }
}

func readFile(_ path: String) throws -> [UInt8] {
    let file = try OpenFile(reading: path)
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = try file.read(into: &buffer), count > 0 { content += buffer[..<count] }
    return content
}
