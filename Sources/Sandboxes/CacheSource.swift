import CouchDB
import CouchDocument
import Glibc

/// How the cache gets the archive of a sandbox, and by which key it remembers that it has it.
struct CacheSource {
    private enum Kind {
        case folder(String)
        case archive(String)
        case attachment(Database, document: String, name: String)
        case url(String)
        case git([GitCheckout])
    }

    private var kind: Kind
    private let digest: SandboxDigest?
    /// Names the present state of the source: the digest itself when the specification tells it.
    private(set) var key: String

    init(_ spec: SandboxSpec, database: Database?, token: String?, base: String) throws {
        digest = spec.digest
        key = spec.digest?.hex ?? ""
        func absolute(_ path: String) -> String { path.hasPrefix("/") ? path : "\(base)/\(path)" }
        switch spec.source {
        case .folder(let path): kind = .folder(absolute(path))
        case .archive(let path): kind = .archive(absolute(path))
        case .attachment(let attachment):
            guard let database else {
                throw SandboxError(.illFormed, "the sandbox is the \(spec.summary), but no database is known here")
            }
            guard let document = attachment.document ?? token else {
                throw SandboxError(.illFormed, "the sandbox is an attachment of its token, but no token is known here")
            }
            let home = attachment.database.map { database.server.database($0) } ?? database
            kind = .attachment(home, document: document, name: attachment.name)
        case .url(let url):
            if url.hasPrefix("file://") {
                kind = .archive(try FileURL.path(url))
            } else {
                kind = .url(url)
            }
        case .git(let checkouts): kind = .git(checkouts)
        }
    }

    /// Finds out what the source is like at this moment, so that an unchanged one is not fetched again.
    mutating func pin() async throws {
        guard digest == nil else { return }
        let state: String
        switch kind {
        case .folder(let path): state = try await onOwnThread { try Self.fingerprint(path, $0) }
        case .archive(let path):
            guard let status = FileStatus(path, followingLinks: true), status.kind == .file else {
                throw SandboxError(.missing, "the archive \(path) of the sandbox is not there, or no file")
            }
            state = "archive \(try resolved(path)) \(status.size) \(status.modified) \(status.inode)"
        case .attachment(let database, let document, let name):
            let found = try await Self.stub(name, of: document, in: database)
            // The MD5 is CouchDB's own name for the content; without it, the revision that wrote it.
            state =
                "attachment \(database.name) \(document) \(name) \(found.digest ?? "revision \(found.revisionPosition ?? 0)")"
        case .url(let url): state = "url \(url) \(try await URLDownload.state(of: url))"
        case .git(let checkouts):
            // A shortened commit names no other in the same repository, or git refuses it.
            let pinned = try await onOwnThread { try GitCommand.pinned(checkouts, cancellation: $0) }
            kind = .git(pinned)
            state = "git " + pinned.map { "\($0.url) \($0.commit ?? "") \($0.folder ?? "")" }.joined(separator: "\n")
        }
        key = SandboxDigest(of: state.utf8).hex
    }

    /// Brings the archive to that path.
    func fetch(to path: String) async throws {
        switch kind {
        case .folder(let folder): _ = try await SandboxBuilder.build(folder: folder, to: path)
        case .git(let checkouts): _ = try await SandboxBuilder.build(git: checkouts, to: path)
        case .url(let url): try await URLDownload.download(url, to: path)
        case .archive(let archive): try await onOwnThread { try Self.copy(archive, to: path, $0) }
        case .attachment(let database, let document, let name):
            do {
                try await database.downloadAttachment(name, of: document, to: path)
            } catch CouchDBError.notFound {
                throw Self.missing(name, of: document, in: database)
            }
        }
    }

    private static func stub(_ name: String, of document: String, in database: Database) async throws -> AttachmentStub
    {
        guard let found = try await database.documentIfPresent(document), let stub = found.attachment(name) else {
            throw missing(name, of: document, in: database)
        }
        return stub
    }

    private static func missing(_ name: String, of document: String, in database: Database) -> SandboxError {
        SandboxError(
            .missing,
            "the sandbox \(name) of document \(document) is not in database \(database.name): run `tokenpool sandbox upload`"
        )
    }

    /// Changes when any file in the folder does, as far as names, sizes, modes and times tell.
    private static func fingerprint(_ folder: String, _ cancellation: CancellationFlag) throws -> String {
        guard FileStatus.isFolder(folder) else {
            throw SandboxError(.missing, "the folder \(folder) of the sandbox is not there")
        }
        let tree = try SandboxBuilder.listing(folder, cancellation)
        var text = "folder \(tree.root.shown)\n"
        for entry in tree.entries {
            text += "\(SandboxDigest.hexadecimal(entry.path)) \(entry.status.mode) \(entry.status.kind)"
            // The time of a folder changes with files that are left out.
            if entry.status.kind != .folder {
                text += " \(entry.status.size) \(entry.status.modified) \(entry.status.inode)"
            }
            text += "\n"
        }
        return text
    }

    private static func copy(_ source: String, to path: String, _ cancellation: CancellationFlag) throws {
        let from = try OpenFile(reading: source)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw systemError("write", path) }
        try TreeCopy.copyContent(from, to: OpenFile(descriptor: descriptor, path: path), cancellation)
    }
}

/// Paths in `file:` addresses.
enum FileURL {
    static func path(_ url: String) throws -> String {
        var rest = url.dropFirst("file://".count)
        if rest.hasPrefix("localhost/") { rest = rest.dropFirst("localhost".count) }
        guard rest.hasPrefix("/") else {
            throw SandboxError(.illFormed, "\(url) names no path on this machine: write file:///path")
        }
        var bytes: [UInt8] = []
        var units = Array(rest.utf8)[...]
        while let unit = units.popFirst() {
            if unit == UInt8(ascii: "%"), units.count >= 2,
                let value = UInt8(String(decoding: units.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                units = units.dropFirst(2)
            } else {
                bytes.append(unit)
            }
        }
        guard let path = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw SandboxError(.illFormed, "\(url) names a path that is not UTF-8")
        }
        return path
    }
}
