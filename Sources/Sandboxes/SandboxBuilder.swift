import Glibc

/// An archive that was made, and what is known of it.
package struct BuiltSandbox: Hashable, Sendable {
    package let path: String
    package let digest: SandboxDigest
    /// Of the archive, in bytes.
    package let size: Int
    /// Files, folders and links in it; 0 when the archive was taken as it is.
    package let entries: Int

    package init(path: String, digest: SandboxDigest, size: Int, entries: Int) {
        self.path = path
        self.digest = digest
        self.size = size
        self.entries = entries
    }
}

/// Makes the archive of a sandbox.
///
/// The same files make the same archive, wherever and whenever it is made: entries are sorted, times and owners fixed,
/// modes kept. (The compressed bytes also depend on the machine's zlib.)
package enum SandboxBuilder {
    /// Packs a folder into a `tar.gz` at `path`, under a temporary name until it is complete.
    ///
    /// Left out are `.git` and what `.tokenpoolignore` in the folder names. Links must stay within the folder.
    package static func build(folder: String, to path: String, normalizingModes: Bool = false) async throws
        -> BuiltSandbox
    {
        try await onOwnThread { flag in
            try pack(folder: folder, to: path, normalizingModes: normalizingModes, cancellation: flag)
        }
    }

    /// Clones the repositories into a temporary folder beside `path`, drops their `.git`, and packs the rest.
    package static func build(git checkouts: [GitCheckout], to path: String) async throws -> BuiltSandbox {
        try await onOwnThread { flag in
            let folder = "\(path).checkout-\(getpid())-\(UInt32.random(in: 0 ... .max))"
            defer { try? removeTree(folder) }
            try GitCommand.clone(checkouts, into: folder, cancellation: flag)
            // The modes of a checkout follow the umask; git itself knows only "executable".
            return try pack(folder: folder, to: path, normalizingModes: true, cancellation: flag)
        }
    }

    /// Makes the archive of any source that is not in a database. What is an archive already stays as it is, and is only
    /// copied.
    package static func build(_ spec: SandboxSpec, to path: String) async throws -> BuiltSandbox {
        switch spec.source {
        case .folder(let folder): return try await build(folder: folder, to: path)
        case .git(let checkouts): return try await build(git: checkouts, to: path)
        case .archive, .url, .attachment:
            let temporary = "\(path).\(getpid())-\(UInt32.random(in: 0 ... .max)).partial"
            defer { unlink(temporary) }
            try await CacheSource(spec, database: nil, token: nil, base: ".").fetch(to: temporary)
            return try await onOwnThread { flag in
                // The way a worker will: what it would refuse should not travel so far.
                try Unpacker.verify(temporary, cancellation: flag)
                let digest = try SandboxDigest(ofFile: temporary, cancellation: flag)
                let size = FileStatus(temporary)?.size ?? 0
                guard rename(temporary, path) == 0 else { throw systemError("write", path) }
                return BuiltSandbox(path: path, digest: digest, size: size, entries: 0)
            }
        }
    }

    static func pack(
        folder: String, to path: String, normalizingModes: Bool, cancellation: CancellationFlag
    ) throws -> BuiltSandbox {
        guard FileStatus.isFolder(folder) else {
            throw SandboxError(.missing, "could not pack the sandbox \(folder): it is no folder")
        }
        let tree = try listing(folder, cancellation)
        let temporary = "\(path).\(getpid())-\(UInt32.random(in: 0 ... .max)).partial"
        defer { unlink(temporary) }
        var writer = try ArchiveWriter(path: temporary)
        for entry in tree.entries {
            try cancellation.check()
            let source = tree.root.appending(entry.path)
            switch entry.status.kind {
            case .other:
                throw SandboxError(.unsafe, "could not pack \(source.shown): it is no file, folder or link")
            case .link:
                guard let target = entry.target,
                    LinkCheck.staysInside(root: tree.root, path: entry.path, target: target)
                else {
                    throw SandboxError(
                        .unsafe,
                        "could not pack the link \(source.shown): it leads out of the sandbox; put a copy there or name it in \(IgnoreRules.fileName)"
                    )
                }
            case .file, .folder: break
            }
            let mode = entry.status.kind == .link ? 0o777 : entry.status.mode
            let normal: UInt32 = entry.status.kind == .file && mode & 0o111 == 0 ? 0o644 : 0o755
            try writer.add(
                entry, mode: normalizingModes && entry.status.kind != .link ? normal : mode, source: source,
                cancellation: cancellation)
        }
        try writer.finish()
        let digest = try SandboxDigest(ofFile: temporary, cancellation: cancellation)
        let size = FileStatus(temporary)?.size ?? 0
        guard rename(temporary, path) == 0 else { throw systemError("write", path) }
        return BuiltSandbox(path: path, digest: digest, size: size, entries: tree.entries.count)
    }

    /// What would be packed.
    static func listing(_ folder: String, _ cancellation: CancellationFlag) throws -> FolderTree {
        let root = try resolved(folder)
        var text: [UInt8] = []
        if FileStatus("\(root)/\(IgnoreRules.fileName)")?.kind == .file {
            let file = try OpenFile(reading: "\(root)/\(IgnoreRules.fileName)")
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while case let count = try file.read(into: &buffer), count > 0 { text += buffer[..<count] }
        }
        let rules = try IgnoreRules(String(decoding: text, as: UTF8.self))
        return try FolderTree(Array(root.utf8), cancellation: cancellation) { rules.leavesOut($0, isFolder: $1) }
    }
}
