import CouchDocument

/// Where the files of a token come from, and what their digest is when that is known.
///
/// It stands in a token as `pool.sandbox`; see `docs/sandboxes.md` for every form.
package struct SandboxSpec: Hashable, Sendable {
    package enum Source: Hashable, Sendable {
        /// A folder on the machine of the worker.
        case folder(path: String)
        /// An archive file on the machine of the worker.
        case archive(path: String)
        /// An attachment of a document.
        case attachment(Attachment)
        /// An archive behind `http:`, `https:` or `file:`.
        case url(String)
        /// Git repositories: the first one is the folder itself unless it names a folder.
        case git([GitCheckout])
    }

    /// The attachment that holds the archive.
    package struct Attachment: Hashable, Sendable {
        /// The database; `nil`: the one of the token.
        package var database: String?
        /// The document; `nil`: the token itself.
        package var document: String?
        /// The name of the attachment.
        package var name: String

        package init(database: String? = nil, document: String? = nil, name: String) {
            self.database = database
            self.document = document
            self.name = name
        }
    }

    /// What people call it.
    package var name: String?
    package var source: Source
    /// The digest of the archive. For a folder or git: of the archive that ``SandboxBuilder`` makes of it.
    package var digest: SandboxDigest?

    package init(name: String? = nil, source: Source, digest: SandboxDigest? = nil) {
        self.name = name
        self.source = source
        self.digest = digest
    }

    /// The sandbox as a person names it on a command line: a URL, a git address (ending in `.git`, `#branch` may
    /// follow), a folder (ending in `/` or being one) or an archive file.
    package init(argument: String, isFolder: (String) -> Bool = FileStatus.isFolder) throws {
        guard !argument.isEmpty else {
            throw SandboxError(.illFormed, "a sandbox needs a path or an address, not an empty text")
        }
        let parts = argument.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        if parts[0].hasSuffix(".git"), !isFolder(argument) || isFolder("\(argument)/objects") {
            let checkout = GitCheckout(url: parts[0], branch: parts.count > 1 ? parts[1] : nil)
            try checkout.validate()
            self.init(source: .git([checkout]))
        } else if ["http://", "https://", "file://"].contains(where: argument.hasPrefix) {
            self.init(source: .url(argument))
        } else if argument.hasSuffix("/") || isFolder(argument) {
            self.init(source: .folder(path: argument))
        } else {
            self.init(source: .archive(path: argument))
        }
    }

    /// One line for people, without passwords.
    package var summary: String {
        switch source {
        case .folder(let path): "folder \(path)"
        case .archive(let path): "archive \(path)"
        case .attachment(let attachment):
            "attachment \(attachment.name) of \(attachment.document ?? "the token")"
        case .url(let url): "address \(url.withoutUserInformation)"
        case .git(let checkouts): "git \(checkouts.map(\.summary).joined(separator: ", "))"
        }
    }
}

extension String {
    /// A URL without `user:password@`, as it may be shown.
    var withoutUserInformation: String {
        guard let scheme = range(ofText: "://") else { return self }
        let rest = self[scheme.upperBound...]
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard let at = authority.lastIndex(of: "@") else { return self }
        return String(self[..<scheme.upperBound] + rest[rest.index(after: at)...])
    }

    private func range(ofText text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            start = index(after: start)
        }
        return nil
    }
}
