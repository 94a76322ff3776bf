import CouchDocument

extension SandboxSpec {
    /// Reads `pool.sandbox`: an object whose `source` says the kind, or whose only source member does; or a text, as on
    /// a command line.
    package init(json: JSON) throws {
        if let text = json.stringValue {
            try self.init(argument: text)
            return
        }
        guard let fields = json.objectValue else {
            throw SandboxError(.illFormed, "a sandbox is an object or a text, not \(json.kind): \(json.shortened)")
        }
        let reader = FieldReader(fields)
        let kinds = ["folder", "archive", "attachment", "url", "git"]
        let kind: String
        if let given = try reader.text("source") {
            guard kinds.contains(given) else {
                throw SandboxError(
                    .illFormed, "sandbox.source is \"\(given)\": it is one of \(kinds.joined(separator: ", "))")
            }
            kind = given
        } else {
            // An attachment may name its document beside it, so these are looked at in order of what they exclude.
            let present = kinds.filter { fields[$0] != nil }
            guard present.count == 1 else {
                throw SandboxError(
                    .illFormed,
                    "a sandbox says with exactly one of \(kinds.joined(separator: ", ")) where its files come from: \(json.shortened)"
                )
            }
            kind = present[0]
        }

        let source: Source
        switch kind {
        case "folder": source = .folder(path: try reader.required("path", or: "folder"))
        case "archive": source = .archive(path: try reader.required("path", or: "archive"))
        case "url":
            let url: String = try reader.required("url")
            guard ["http://", "https://", "file://"].contains(where: url.hasPrefix) else {
                throw SandboxError(
                    .illFormed,
                    "sandbox.url must begin with http://, https:// or file://: \(url.withoutUserInformation)")
            }
            source = .url(url)
        case "attachment":
            source = .attachment(
                Attachment(
                    database: try reader.text("database"), document: try reader.text("document"),
                    name: try reader.required("attachment")))
        default: source = .git(try Self.checkouts(fields, reader))
        }
        var digest: SandboxDigest?
        if let text = try reader.text("sha256") ?? reader.text("digest") {
            guard let value = SandboxDigest(text) else {
                throw SandboxError(.illFormed, "sandbox.sha256 must be 64 hex digits: \(text)")
            }
            digest = value
        }
        try reader.refuseOthers(
            ["source", "name", "sha256", "digest", "path"] + Self.members[kind]!, "sandbox of kind \(kind)")
        self.init(name: try reader.text("name"), source: source, digest: digest)
    }

    /// What each kind takes beside the common members.
    private static let members = [
        "folder": ["folder"], "archive": ["archive"], "url": ["url"],
        "attachment": ["attachment", "document", "database"],
        "git": ["git", "url", "location", "branch", "commit", "folder", "checkout_dir", "scripts", "git_scripts"],
    ]

    private static func checkouts(_ fields: JSONObject, _ reader: FieldReader) throws -> [GitCheckout] {
        var checkouts: [GitCheckout] = []
        if let inner = fields["git"]?.objectValue {
            checkouts.append(try GitCheckout(inner, path: "sandbox.git"))
        } else {
            checkouts.append(try GitCheckout(fields, path: "sandbox"))
        }
        // GRID_LRT 1.0 writes a list of one-member objects, GRID_LRT 0.5 one object of them; both say name → repository.
        var others: [(String, JSON)] = []
        for member in ["scripts", "git_scripts"] {
            switch fields[member] {
            case nil, .null?: break
            case .object(let scripts)?: others += scripts.map { ($0.name, $0.value) }
            case .array(let scripts)?:
                for script in scripts {
                    guard let script = script.objectValue else {
                        throw SandboxError(.illFormed, "sandbox.\(member) is a list of objects, not of \(script.kind)s")
                    }
                    if script["url"] != nil || script["git_url"] != nil {
                        others.append((script["folder"]?.stringValue ?? "", .object(script)))
                    } else {
                        others += script.map { ($0.name, $0.value) }
                    }
                }
            case let other?:
                throw SandboxError(.illFormed, "sandbox.\(member) is a list or an object, not \(other.kind)")
            }
        }
        for (name, value) in others {
            guard let script = value.objectValue else {
                throw SandboxError(
                    .illFormed,
                    "sandbox.scripts: \"\(name)\" is an object with url, branch and commit, not \(value.kind)")
            }
            var checkout = try GitCheckout(script, path: "sandbox.scripts.\(name)")
            checkout.folder = checkout.folder ?? name
            try checkout.validate()
            checkouts.append(checkout)
        }
        return checkouts
    }

    /// The specification as it stands in a token.
    package var json: JSON {
        var fields: JSONObject = [:]
        fields["name"] = name.map(JSON.string)
        switch source {
        case .folder(let path):
            fields["source"] = "folder"
            fields["path"] = .string(path)
        case .archive(let path):
            fields["source"] = "archive"
            fields["path"] = .string(path)
        case .attachment(let attachment):
            fields["source"] = "attachment"
            fields["database"] = attachment.database.map(JSON.string)
            fields["document"] = attachment.document.map(JSON.string)
            fields["attachment"] = .string(attachment.name)
        case .url(let url):
            fields["source"] = "url"
            fields["url"] = .string(url)
        case .git(let checkouts):
            fields["source"] = "git"
            if let first = checkouts.first { fields.merge(first.json) }
            let others = checkouts.dropFirst().map { JSON.object($0.json) }
            if !others.isEmpty { fields["scripts"] = .array(Array(others)) }
        }
        fields["sha256"] = digest.map { .string($0.hex) }
        return .object(fields)
    }
}

/// Reads members and says which one is wrong.
struct FieldReader {
    let fields: JSONObject
    var path = "sandbox"

    init(_ fields: JSONObject, path: String = "sandbox") {
        self.fields = fields
        self.path = path
    }

    /// The text of a member; `nil` when it is absent or null.
    func text(_ name: String) throws -> String? {
        switch fields[name] {
        case nil, .null?: return nil
        case .string(let text)?:
            guard !text.isEmpty else { throw SandboxError(.illFormed, "\(path).\(name) is empty") }
            guard !text.utf8.contains(0) else { throw SandboxError(.illFormed, "\(path).\(name) holds a zero byte") }
            return text
        case let other?:
            throw SandboxError(.illFormed, "\(path).\(name) is a text, not \(other.kind): \(other.shortened)")
        }
    }

    func required(_ name: String, or other: String? = nil) throws -> String {
        if let text = try text(name) { return text }
        if let other, let text = try text(other) { return text }
        throw SandboxError(.illFormed, "\(path) lacks \(name): \(JSON.object(fields).shortened)")
    }

    func refuseOthers(_ known: [String], _ what: String) throws {
        for name in fields.names where !known.contains(name) {
            throw SandboxError(.illFormed, "\(path).\(name) means nothing in a \(what)")
        }
    }
}

extension JSON {
    /// The value as text, cut for a message.
    var shortened: String {
        let text = description
        return text.count > 120 ? text.prefix(119) + "…" : text
    }
}
