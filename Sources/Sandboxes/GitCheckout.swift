import CouchDocument

/// One state of one git repository, and the folder where it goes.
package struct GitCheckout: Hashable, Sendable {
    package var url: String
    /// A branch or tag; `nil`: the repository's own default.
    package var branch: String?
    /// A commit, in full or shortened; checked out after the branch.
    package var commit: String?
    /// A folder within the sandbox; `nil`: the sandbox itself.
    package var folder: String?

    package init(url: String, branch: String? = nil, commit: String? = nil, folder: String? = nil) {
        self.url = url
        self.branch = branch
        self.commit = commit
        self.folder = folder
    }

    /// Reads `url` (also `location`, `git_url` or `git`), `branch`, `commit` and `folder` (also `checkout_dir`).
    init(_ fields: JSONObject, path: String) throws {
        let reader = FieldReader(fields, path: path)
        var url: String?
        for name in ["url", "location", "git_url", "git"] where url == nil { url = try reader.text(name) }
        guard let url else {
            throw SandboxError(.illFormed, "\(path) lacks the url of its repository: \(JSON.object(fields).shortened)")
        }
        self.init(
            url: url, branch: try reader.text("branch"), commit: try reader.text("commit"),
            folder: try reader.text("folder") ?? reader.text("checkout_dir"))
        try validate()
    }

    /// Nothing here may be taken for an option by git, or lead out of the sandbox.
    func validate() throws {
        for (name, value) in [("url", url), ("branch", branch ?? "x"), ("commit", commit ?? "x")]
        where value.hasPrefix("-") || value.isEmpty || value.contains("\n") {
            throw SandboxError(.illFormed, "the \(name) of a git sandbox is not one: \(value)")
        }
        if let folder {
            let segments = folder.split(separator: "/", omittingEmptySubsequences: false)
            guard !folder.hasPrefix("-"), !segments.contains(where: { ["", "..", ".git"].contains($0) }) else {
                throw SandboxError(.illFormed, "the folder of a git sandbox must lie within it: \(folder)")
            }
        }
    }

    /// Whether the commit can not change its meaning: all 40 (or 64) hex digits are there.
    var isPinned: Bool {
        guard let commit, commit.utf8.count == 40 || commit.utf8.count == 64 else { return false }
        return commit.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    var summary: String {
        url.withoutUserInformation + (branch.map { " branch \($0)" } ?? "") + (commit.map { " commit \($0)" } ?? "")
    }

    var json: JSONObject {
        var fields: JSONObject = ["url": .string(url)]
        fields["branch"] = branch.map(JSON.string)
        fields["commit"] = commit.map(JSON.string)
        fields["folder"] = folder.map(JSON.string)
        return fields
    }
}
