/// A design document: views, filters, update functions and a validation function, as source text.
public struct DesignDocument: Hashable, Sendable {
    /// A map function and, if the view is reduced, what reduces its rows.
    public struct View: Hashable, Sendable {
        /// JavaScript: `function (doc) { … emit(key, value) … }`.
        public var map: String
        /// JavaScript, or a built-in such as `_sum`, `_count`, `_stats`.
        public var reduce: String?

        /// A view of these functions.
        public init(map: String, reduce: String? = nil) {
            self.map = map
            self.reduce = reduce
        }
    }

    /// The whole document; its id starts with `_design/`.
    public var document: Document

    /// A design document of that name (without `_design/`) with no functions yet.
    public init(name: String, language: String = "javascript") {
        document = Document(id: "_design/" + name, fields: ["language": .string(language)])
    }

    /// Takes a document as it is. `nil` when its id is not one of a design document.
    public init?(_ document: Document) {
        guard document.id.hasPrefix("_design/") else { return nil }
        self.document = document
    }

    /// The name, without `_design/`.
    public var name: String { String(document.id.dropFirst("_design/".count)) }

    /// The views by name. What is no view (`lib`, `options`, entries without `map`) is left out, and kept when set.
    public var views: [String: View] {
        get {
            var result: [String: View] = [:]
            for (name, value) in document["views"]?.objectValue ?? [:] {
                guard let map = value["map"]?.stringValue else { continue }
                result[name] = View(map: map, reduce: value["reduce"]?.stringValue)
            }
            return result
        }
        set {
            var members = document["views"]?.objectValue ?? [:]
            for name in members.names where members[name]?["map"] != nil && newValue[name] == nil {
                members[name] = nil
            }
            for (name, view) in newValue.sorted(by: { $0.key < $1.key }) {
                var member = members[name]?.objectValue ?? [:]
                member["map"] = .string(view.map)
                member["reduce"] = view.reduce.map(JSON.string)
                members[name] = .object(member)
            }
            document["views"] = .object(members)
        }
    }

    /// Whether the other says the same, revisions and attachments aside: then there is nothing to push.
    public func hasSameFunctions(as other: DesignDocument) -> Bool {
        func body(_ design: DesignDocument) -> JSONObject {
            var fields = design.document.fields
            for name in fields.names where name.hasPrefix("_") { fields[name] = nil }
            return JSONObject(fields.map { ($0.name, $0.value) }.sorted { $0.0 < $1.0 })
        }
        return body(self) == body(other)
    }
}
