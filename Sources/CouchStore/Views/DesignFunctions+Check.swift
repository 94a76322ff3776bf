import CouchDocument

extension DesignFunctions {
    /// Checks a design document as CouchDB does when one is saved: shapes first, then that maps and reduces compile.
    ///
    /// Functions of other kinds are only looked at when they are used, as in CouchDB. Nothing is compiled in a language
    /// other than JavaScript.
    ///
    /// - Throws: 400 `invalid_design_doc`, 400 `compilation_error` or 404 `not_found`, with CouchDB's reasons.
    package func check(_ design: DesignDocument) async throws {
        let document = design.document
        try Self.checkShape(document)
        guard (document["language"]?.stringValue ?? "javascript") == "javascript" else { return }
        for (name, view) in document["views"]?.objectValue ?? [:] where !Self.isLibrary(name, view) {
            guard let map = view["map"]?.stringValue else { continue }
            if map.isEmpty { throw StoreError.absent("missing function") }
            try await compile(map, kind: "map", view: name)
            guard let reduce = view["reduce"]?.stringValue else { continue }
            if reduce.hasPrefix("_") {
                if BuiltinReduce(reduce) == nil {
                    throw StoreError.designDocument("`\(reduce)` is not a supported reduce function.")
                }
            } else {
                try await compile(reduce, kind: "reduce", view: name)
            }
        }
    }

    private static func isLibrary(_ name: String, _ view: JSON) -> Bool { name == "lib" && view["map"] == nil }

    private func compile(_ source: String, kind: String, view: String) async throws {
        if let reason = try await compilationError(source) {
            throw StoreError.compilation("Compilation of the \(kind) function in the '\(view)' view failed: \(reason)")
        }
    }

    // couch_mrview:validate_ddoc_fields of CouchDB 3.5.
    private static func checkShape(_ document: Document) throws(StoreError) {
        let fields: [(String, [String], [String]?)] = [
            ("filters", ["object"], ["string", "object"]),
            ("language", ["string"], nil),
            ("lists", ["object"], ["string", "object"]),
            ("options", ["object"], nil),
            ("rewrites", ["array", "string"], nil),
            ("shows", ["object"], ["string", "object"]),
            ("updates", ["object"], ["string", "object"]),
            ("validate_doc_update", ["string"], nil),
            ("views", ["object"], ["object"]),
        ]
        for (name, kinds, members) in fields {
            guard let value = document[name] else { continue }
            try require(value, kinds, name)
            guard let members else { continue }
            for (member, element) in value.objectValue ?? [:] { try require(element, members, "\(name).\(member)") }
        }
        for (name, view) in document["views"]?.objectValue ?? [:] where !isLibrary(name, view) {
            guard let map = view["map"] else { throw .designDocument("View `\(name)` must contain map function") }
            // Mango indexes have an object here.
            let kinds = document["language"] == "query" ? ["string", "object"] : ["string"]
            try require(map, kinds, "views.\(name).map")
            if let reduce = view["reduce"] { try require(reduce, ["string"], "views.\(name).reduce") }
        }
    }

    private static func require(_ value: JSON, _ kinds: [String], _ path: String) throws(StoreError) {
        if kinds.contains(value.kind) { return }
        throw .designDocument("`\(path)` field must have \(kinds.joined(separator: " or ")) type")
    }
}
