package import CouchDocument

/// A file of a design document's folder: its path below that folder and its text.
package struct DesignFile: Sendable {
    /// Such as `views/todo/map.js`.
    package let path: String
    /// The content, as UTF-8 text.
    package let text: String

    /// A file of that path and text.
    package init(path: String, text: String) {
        self.path = path
        self.text = text
    }
}

/// Why a folder is no design document, in one line.
package struct DesignFolderError: Error, CustomStringConvertible {
    /// The file and what is wrong with it.
    package let description: String
}

extension DesignDocument {
    /// The design document that the files of a folder stand for, as in CouchDB's own tools (couchapp): a folder is an
    /// object, `map.js` is the member `map` with the file's text, `x.json` the member `x` with the file's value, a file
    /// without extension (`language`, `_id`) a text without its last newline.
    ///
    /// - Parameters:
    ///   - folder: The folder's name: the name of the design document when there is no file `_id`.
    ///   - files: In any order. Files ending in `.md` are notes for people and left out.
    /// - Throws: ``DesignFolderError`` for a file of another kind, JSON that does not parse, or two files of one member.
    package init(folder: String, files: [DesignFile]) throws(DesignFolderError) {
        var root: JSONObject = [:]
        var id = "_design/" + folder
        for file in files.sorted(by: { $0.path < $1.path }) where !file.path.hasSuffix(".md") {
            let parts = file.path.split(separator: "/").map(String.init)
            guard let last = parts.last else { continue }
            let (name, value) = try Self.member(file: last, text: file.text, path: folder + "/" + file.path)
            if parts.count == 1 && name == "_id" {
                let text = value.stringValue ?? ""
                id = text.hasPrefix("_design/") ? text : "_design/" + text
                continue
            }
            try Self.set(value, at: parts.dropLast() + [name], in: &root, path: folder + "/" + file.path)
        }
        if root["language"] == nil { root["language"] = "javascript" }
        guard let design = DesignDocument(Document(id: id, fields: root)) else {
            throw DesignFolderError(description: "\(folder)/_id: a design document needs a name")
        }
        self = design
    }

    private static func member(file: String, text: String, path: String) throws(DesignFolderError) -> (String, JSON) {
        var trimmed = Substring(text)
        while let last = trimmed.last, last.isNewline { trimmed.removeLast() }
        guard let dot = file.lastIndex(of: "."), dot != file.startIndex else { return (file, .string(String(trimmed))) }
        let name = String(file[..<dot])
        switch file[file.index(after: dot)...] {
        case "js", "txt": return (name, .string(String(trimmed)))
        case "json":
            do { return (name, try JSON(parsing: text)) } catch {
                throw DesignFolderError(description: "\(path): \(error)")
            }
        default:
            throw DesignFolderError(
                description: "\(path): a design document's folder holds .js, .json and .txt files and files without an "
                    + "extension; move this one elsewhere")
        }
    }

    private static func set(
        _ value: JSON, at names: [String], in object: inout JSONObject, path: String
    ) throws(DesignFolderError) {
        guard names.count > 1 else {
            guard object[names[0]] == nil else {
                throw DesignFolderError(description: "\(path): another file gives the same member \"\(names[0])\"")
            }
            object[names[0]] = value
            return
        }
        guard var members = (object[names[0]] ?? .object([:])).objectValue else {
            throw DesignFolderError(description: "\(path): \"\(names[0])\" is a file and a folder")
        }
        try set(value, at: Array(names.dropFirst()), in: &members, path: path)
        object[names[0]] = .object(members)
    }
}
