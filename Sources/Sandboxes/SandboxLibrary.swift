import CouchDB
import CouchDocument

/// A sandbox that lies in a database: a document with its archive as attachment.
package struct StoredSandbox: Hashable, Sendable {
    package let name: String
    package let digest: SandboxDigest
    /// Of the archive, in bytes.
    package let size: Int
    /// Seconds since 1970.
    package let created: Int
    /// The name of the attachment.
    package let attachment: String
    /// Whether the archive is there; false between the two halves of an upload, or after an upload that broke off.
    package let isComplete: Bool

    package var id: String { Self.id(digest) }

    static func id(_ digest: SandboxDigest) -> String { "sandbox_\(digest.hex)" }

    /// `nil` when the document is no sandbox.
    package init?(_ document: Document) {
        guard document["type"] == "sandbox", let digest = document["digest"]?.stringValue.flatMap({ SandboxDigest($0) })
        else { return nil }
        self.digest = digest
        name = document["name"]?.stringValue ?? digest.hex
        size = document["size"]?.intValue ?? 0
        created = document["created"]?.intValue ?? 0
        attachment = document["attachment"]?.stringValue ?? document.attachments.names.first ?? "sandbox.tar.gz"
        isComplete = document.attachment(attachment) != nil
    }

    /// What a token says to have this sandbox.
    package var spec: SandboxSpec {
        SandboxSpec(name: name, source: .attachment(.init(document: id, name: attachment)), digest: digest)
    }
}

/// The sandboxes of a database.
package struct SandboxLibrary: Sendable {
    let database: Database

    package init(_ database: Database) { self.database = database }

    /// Puts an archive into the database unless it is there already: its id is its digest, so that the same files are
    /// sent once, whoever and how often uploads them.
    ///
    /// - Parameter created: Seconds since 1970.
    /// - Returns: The document, and whether it had to be sent.
    package func upload(_ built: BuiltSandbox, name: String, created: Int) async throws -> (
        sandbox: StoredSandbox, isNew: Bool
    ) {
        let id = StoredSandbox.id(built.digest)
        let attachment = "sandbox." + Self.fileType(built.path)
        for _ in 0..<10 {
            let revision: Revision?
            if let found = try await database.documentIfPresent(id) {
                if let sandbox = StoredSandbox(found), sandbox.isComplete { return (sandbox, false) }
                revision = found.revision
            } else {
                let document = Document(
                    id: id,
                    fields: [
                        "type": "sandbox", "name": .string(name), "digest": .string(built.digest.hex),
                        "size": .integer(built.size), "created": .integer(created), "attachment": .string(attachment),
                    ])
                do { revision = try await database.save(document) } catch CouchDBError.conflict { continue }
            }
            do {
                let target = try await self.attachment(of: id, otherwise: attachment)
                try await database.putAttachment(
                    target, to: id, revision: revision, contentType: ContentType.ofFile(named: target),
                    body: .file(path: built.path))
            } catch CouchDBError.conflict {
                continue  // Somebody else uploads the same: look again.
            }
            guard let sandbox = StoredSandbox(try await database.document(id)) else { break }
            return (sandbox, true)
        }
        throw SandboxError(.failed, "could not upload the sandbox \(name): its document \(id) changes all the time")
    }

    /// Packs a folder or repository, or fetches an archive, and puts it into the database.
    package func upload(_ spec: SandboxSpec, name: String, created: Int) async throws -> (
        sandbox: StoredSandbox, isNew: Bool
    ) {
        let folder = try makeTemporaryFolder()
        defer { try? removeTree(folder) }
        var type = "tar.gz"
        switch spec.source {
        case .archive(let path), .url(let path): type = Self.fileType(path)
        case .attachment(let attachment): type = Self.fileType(attachment.name)
        case .folder, .git: break
        }
        let built = try await SandboxBuilder.build(spec, to: "\(folder)/sandbox.\(type)")
        if let digest = spec.digest, digest != built.digest {
            throw SandboxError(
                .mismatch, "the sandbox from \(spec.summary) has SHA-256 \(built.digest) and not \(digest) as asked for"
            )
        }
        return try await upload(built, name: name, created: created)
    }

    /// The name under which an upload that broke off meant to put its archive.
    private func attachment(of id: String, otherwise name: String) async throws -> String {
        try await database.document(id)["attachment"]?.stringValue ?? name
    }

    /// All sandboxes, by digest.
    package func list() async throws -> [StoredSandbox] {
        var query = ViewQuery(startKey: "sandbox_", endKey: "sandbox_\u{FFF0}")
        query.includeDocuments = true
        let page = try await database.allDocuments(query)
        return page.rows.compactMap { $0.document.flatMap { StoredSandbox($0) } }
    }

    /// The sandboxes of that name, or of a digest that begins so.
    package func find(_ name: String) async throws -> [StoredSandbox] {
        try await list().filter { $0.name == name || (name.utf8.count >= 6 && $0.digest.hex.hasPrefix(name)) }
    }

    private static func fileType(_ path: String) -> String {
        let known = ["tar.gz", "tgz", "tar.xz", "tar.zst", "tar.bz2", "tar", "zip"]
        return known.first { path.lowercased().hasSuffix(".\($0)") } ?? "tar.gz"
    }
}
