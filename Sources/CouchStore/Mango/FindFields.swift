import CouchDocument

/// The members of documents that somebody asks for.
package struct FindFields: Sendable {
    let names: [String]
    let paths: [FieldPath]

    /// Reads a list of names; an empty one gives `nil`: whole documents.
    ///
    /// - Throws: 400 in CouchDB's words (mango_fields).
    package init?(_ json: JSON) throws(StoreError) {
        guard let list = json.arrayValue else {
            throw .find("invalid_fields", "Fields must be an array of strings, not: \(ErlangText.plain(json))")
        }
        if list.isEmpty { return nil }
        var names: [String] = []
        var paths: [FieldPath] = []
        for item in list {
            guard let name = item.stringValue else {
                throw .find("invalid_field", "Invalid JSON for field spec: \(ErlangText.plain(item))")
            }
            names.append(name)
            paths.append(try FieldPath(name))
        }
        self.names = names
        self.paths = paths
    }

    /// These members of a document, in the order in which they were asked for.
    package func members(of document: JSON) -> JSONObject {
        var members = JSONObject()
        for path in paths {
            if let value = path.value(in: document) { path.set(value, in: &members) }
        }
        return members
    }
}
