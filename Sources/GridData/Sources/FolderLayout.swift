import TokenPool

/// Where files lie below a folder: a path with `{namespace}` and `{name}` in it.
package struct FolderLayout: Sendable, Hashable {
    private let template: String

    /// A layout, relative to the folder.
    ///
    /// - Throws: ``GridError/Code/badInput`` when it does not say which file.
    package init(_ template: String) throws {
        let rest = template.replacing("{namespace}", with: "").replacing("{name}", with: "")
        guard template.contains("{name}") else {
            throw GridError(.badInput, "the layout \"\(template)\" has no {name} in it")
        }
        guard !rest.contains("{"), !rest.contains("}") else {
            throw GridError(
                .badInput, "the layout \"\(template)\" may have {namespace} and {name} in it, nothing else in braces")
        }
        guard !template.hasPrefix("/") else {
            throw GridError(.badInput, "the layout \"\(template)\" is relative to the folder: it has no slash in front")
        }
        self.template = template
    }

    /// The path of a file below the folder. `nil` for a name that would lead out of it, or to no file at all.
    package func path(of did: DID) -> String? {
        var path = ""
        var rest = template[...]
        while let open = rest.firstIndex(of: "{") {
            path += rest[..<open]
            // Names are data: braces in them stay.
            let isName = rest[open...].hasPrefix("{name}")
            path += isName ? did.name : did.namespace
            rest = rest[open...].dropFirst(isName ? 6 : 11)
        }
        path += rest
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        let isInside = parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." && !$0.utf8.contains(0) }
        return isInside ? path : nil
    }
}
