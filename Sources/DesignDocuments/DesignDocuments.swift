package import CouchDocument

/// The design documents that tokenpool brings with it: the folders of `Views`, embedded when the package is built.
package enum DesignDocuments {
    /// All of them, by name.
    package static let all: [DesignDocument] = {
        do {
            var folders: [String: [DesignFile]] = [:]
            for file in EmbeddedViews.files {
                guard let slash = file.path.firstIndex(of: "/") else { continue }
                let path = String(file.path[file.path.index(after: slash)...])
                folders[String(file.path[..<slash]), default: []].append(DesignFile(path: path, text: file.text))
            }
            return try folders.sorted { $0.key < $1.key }.map { try DesignDocument(folder: $0.key, files: $0.value) }
        } catch {
            // Only a broken file in Views can lead here, and the tests read every one of them.
            preconditionFailure("the embedded design documents: \(error)")
        }
    }()

    /// PiCaS' design document: `todo`, `locked`, `done`, `error` and `overview_total` of tokens of type `token`.
    package static let monitor = named("Monitor")

    /// Ours: the views that claims, sets, leases and waiting tokens read.
    package static let tokenpool = named("tokenpool")

    private static func named(_ name: String) -> DesignDocument {
        guard let design = all.first(where: { $0.name == name }) else {
            preconditionFailure("Views has no folder \(name)")
        }
        return design
    }
}
