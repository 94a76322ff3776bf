import CouchDocument
import Crypto

/// An index that somebody wants to have: the body of `POST /db/_index`.
package struct MangoIndexDefinition: Sendable {
    /// The design document that shall keep it, with `_design/`.
    package let designID: String
    package let name: String
    private let view: JSON
    /// `nil`: not said.
    private let isPartitioned: Bool?

    /// - Throws: 400 or 503 in CouchDB's words.
    package init(_ body: JSONObject) throws(StoreError) {
        var request = FindRequest(body)
        let index = try request.require("index")
        let type = try request.take("type").map(Self.text) ?? "json"
        let name = try request.name("name")
        let design = try request.name("ddoc")
        _ = try request.positive("w", 1)
        let partitioned = request.take("partitioned")
        if let partitioned, partitioned.boolValue == nil {
            throw .find(
                "invalid_partitioned_value", "Invalid value for partitioned: \(ErlangText.plain(partitioned))")
        }
        isPartitioned = partitioned?.boolValue
        try request.end()
        switch type {
        case "json": break
        case "text", "nouveau": throw .find("required index service unavailable", type, status: 503)
        default: throw .find("invalid_index", "Invalid type for index: \(type)")
        }
        let map = try Self.map(index)
        // Equal requests get equal names, so that the second one finds its index there.
        let asked: JSON = [
            "index": index, "name": name.map(JSON.string) ?? .null, "ddoc": design.map(JSON.string) ?? .null,
            "partitioned": partitioned ?? .null,
        ]
        let made = hexadecimal(Insecure.SHA1.hash(data: asked.encoded()))
        self.name = name ?? made
        let id = design ?? made
        designID = id.hasPrefix("_design/") ? id : "_design/" + id
        view = ["map": .object(map), "reduce": "_count", "options": ["def": index]]
    }

    private static func text(_ value: JSON) throws(StoreError) -> String {
        guard let text = value.stringValue else {
            throw .find("invalid_string", "Invalid string: \(ErlangText.plain(value))")
        }
        return text
    }

    /// The definition as the design document keeps it.
    private static func map(_ index: JSON) throws(StoreError) -> JSONObject {
        guard let members = index.objectValue else {
            throw .find("invalid_index", "JSON indexes must be an object, not: \(ErlangText.plain(index))")
        }
        var request = FindRequest(members)
        let fields = try FindSort(try request.require("fields"))
        let filter = try Selector(request.take("partial_filter_selector") ?? [:])
        try request.end()
        return ["fields": .object(fields.json), "partial_filter_selector": filter.json]
    }

    /// The design document with the index in it; `nil` when it stands there just so.
    ///
    /// - Parameter document: What is there now.
    package func added(to document: Document?) throws(StoreError) -> Document? {
        guard var changed = document else {
            var new = Document(id: designID, fields: ["language": "query", "views": .object(views([:]))])
            if let isPartitioned { new["options"] = ["partitioned": .bool(isPartitioned)] }
            return new
        }
        if changed["language"] != "query" {
            let language = changed["language"].map { "{\(ErlangText.plain("language")),\(ErlangText.plain($0))}" }
            throw .find(
                "invalid_ddoc_lang", "Existing design doc has an invalid language: \(language ?? "false")")
        }
        if changed["options"]?["partitioned"]?.boolValue != isPartitioned {
            throw .find(
                "invalid_partitioned_option",
                "Requested partitioned option does not match existing value on design document \(designID)")
        }
        let known = changed["views"]?.objectValue ?? [:]
        if known[name] == view { return nil }
        changed["views"] = .object(views(known))
        return changed
    }

    private func views(_ known: JSONObject) -> JSONObject {
        var views = known
        views[name] = view
        return views
    }
}

extension MangoIndex {
    /// Its design document without the index; `nil` when nothing is left to keep. `design` must be where it is.
    package static func removing(_ names: [String], from design: DesignDocument) -> Document? {
        var document = design.document
        var views = document["views"]?.objectValue ?? [:]
        for name in names { views[name] = nil }
        document["views"] = views.isEmpty ? nil : .object(views)
        let isEmpty = document.fields.allSatisfy { $0.name.hasPrefix("_") || $0.name == "language" }
        return isEmpty ? nil : document
    }
}
