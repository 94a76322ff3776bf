/// A file that a token left behind and wants kept.
package struct OutputFile: Hashable, Sendable {
    /// Where it lies; links resolved, so what is read is what was checked.
    package let path: String
    /// Its path below the work folder, as the name of an attachment.
    package let name: String
    package let size: Int
    package let contentType: String
}

/// The files that patterns mean, and those that they mean but that can not be kept.
package struct OutputCollection: Hashable, Sendable {
    package var files: [OutputFile] = []
    /// One line each.
    package var refused: [String] = []
}

/// Finds a token's outputs.
package struct OutputCollector {
    /// The files below the folder that any of the patterns means, each once, sorted by name.
    ///
    /// Links to files count when they stay within the folder; links to folders are not entered. Blocks for as long as
    /// listing the folder takes.
    package static func files(matching globs: [String], in folder: String) throws -> [OutputFile] {
        try collect(globs, in: folder).files
    }

    /// As ``files(matching:in:)``, with what had to be refused.
    package static func collect(_ globs: [String], in folder: String) throws -> OutputCollection {
        let patterns = try globs.map { try GlobPattern($0) }
        var collection = OutputCollection()
        guard !patterns.isEmpty else { return collection }
        let root = try resolved(folder)
        let tree = try FolderTree(Array(root.utf8)) { path, isFolder in
            isFolder && !patterns.contains { $0.mayMatch(below: path.shown) }
        }
        for entry in tree.entries where entry.status.kind != .folder {
            let shown = entry.path.shown
            guard patterns.contains(where: { $0.matches(shown) }) else { continue }
            guard let name = String(validating: entry.path, as: UTF8.self) else {
                collection.refused.append("output \(shown) is not kept: its name is not UTF-8")
                continue
            }
            // CouchDB: "Attachment name '_x' starts with prohibited character '_'".
            guard !name.hasPrefix("_") else {
                collection.refused.append("output \(name) is not kept: the name of an attachment can not begin with _")
                continue
            }
            var path = "\(root)/\(name)"
            var status = entry.status
            if status.kind == .link {
                guard let real = try? resolved(path) else {
                    collection.refused.append("output \(name) is not kept: it is a link to nothing")
                    continue
                }
                guard real.hasPrefix("\(root)/"), let target = FileStatus(real) else {
                    collection.refused.append("output \(name) is not kept: it is a link out of the work folder")
                    continue
                }
                if target.kind == .folder { continue }
                path = real
                status = target
            }
            guard status.kind == .file else {
                collection.refused.append("output \(name) is not kept: it is not a file")
                continue
            }
            collection.files.append(
                OutputFile(path: path, name: name, size: status.size, contentType: ContentType.ofFile(named: name)))
        }
        return collection
    }
}
