package import CouchDocument
import Foundation

/// Design documents in folders of the user's own.
package enum DesignFolder {
    /// The design document of that folder; see ``CouchDocument/DesignDocument/init(folder:files:)``.
    package static func read(_ folder: String) throws(DesignFolderError) -> DesignDocument {
        let root = URL(filePath: folder, directoryHint: .isDirectory).standardizedFileURL
        var files: [DesignFile] = []
        do {
            for path in try FileManager.default.subpathsOfDirectory(atPath: root.path(percentEncoded: false)) {
                let file = root.appending(path: path)
                var isFolder: ObjCBool = false
                guard !path.split(separator: "/").contains(where: { $0.hasPrefix(".") }),
                    FileManager.default.fileExists(atPath: file.path(percentEncoded: false), isDirectory: &isFolder),
                    !isFolder.boolValue
                else { continue }
                files.append(DesignFile(path: path, text: try String(contentsOf: file, encoding: .utf8)))
            }
        } catch {
            throw DesignFolderError(
                description: "reading design document folder \(folder): \(error.localizedDescription)")
        }
        return try DesignDocument(folder: root.lastPathComponent, files: files)
    }

    /// The design documents of a folder: the folder itself when it holds `views`, `filters`, `language` or the like,
    /// else each folder in it.
    package static func readAll(_ folder: String) throws(DesignFolderError) -> [DesignDocument] {
        let root = URL(filePath: folder, directoryHint: .isDirectory).standardizedFileURL
        let entries: [String]
        do {
            entries = try FileManager.default.contentsOfDirectory(atPath: root.path(percentEncoded: false)).sorted()
        } catch {
            throw DesignFolderError(
                description: "reading design document folder \(folder): \(error.localizedDescription)")
        }
        let members: Set = [
            "views", "filters", "updates", "lists", "shows", "language", "_id", "validate_doc_update.js",
            "options.json",
        ]
        if entries.contains(where: members.contains) { return [try read(folder)] }
        var designs: [DesignDocument] = []
        for entry in entries where !entry.hasPrefix(".") {
            let path = root.appending(path: entry).path(percentEncoded: false)
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
                continue
            }
            designs.append(try read(path))
        }
        guard !designs.isEmpty else {
            throw DesignFolderError(
                description: "\(folder) holds no design document: each is a folder with views/NAME/map.js and the like")
        }
        return designs
    }
}
