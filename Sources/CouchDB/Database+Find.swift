public import CouchDocument

/// What `_find` answers.
public struct FindPage: Sendable, Hashable {
    /// What matched; with `fields` in the query, only those members.
    public let documents: [Document]
    /// Where to go on: the `bookmark` of the next query.
    public let bookmark: String?
    /// What the server thinks of the query, such as that no index fits.
    public let warning: String?
    /// All that it said, without the documents.
    public let raw: JSONObject
}

/// An index for `_find`.
public struct FindIndex: Sendable, Hashable {
    /// The design document that holds it, with `_design/`; `nil` for the one of all ids.
    public let design: String?
    /// Its name.
    public let name: String
    /// `json` or `special`.
    public let type: String
    /// The fields and their directions.
    public let definition: JSONObject
}

extension Database {
    /// Documents that match a Mango query: `POST /db/_find`.
    ///
    /// - Parameter query: The request's body: `selector` and, as wanted, `fields`, `sort`, `limit` (the server's default
    ///   is 25), `skip`, `bookmark`, `use_index`…
    public func find(_ query: JSONObject) async throws -> FindPage {
        let response = try await server.perform(
            Call("POST", path("_find"), body: .json(.object(query)), repeatability: .safe, patience: .indexing))
        var raw = try response.object()
        guard let documents = raw.removeValue(forName: "docs")?.arrayValue else {
            throw response.badAnswer("it has no docs")
        }
        return FindPage(
            documents: try documents.map { document in
                guard let fields = document.objectValue else { throw response.badAnswer("a document is no object") }
                return Document(fields: fields)
            },
            bookmark: raw["bookmark"]?.stringValue, warning: raw["warning"]?.stringValue, raw: raw)
    }

    /// Makes an index for ``find(_:)``: `POST /db/_index`.
    ///
    /// - Parameters:
    ///   - fields: Names, or objects such as `{"name": "asc"}`.
    ///   - name: `nil`: the server makes one.
    ///   - design: The design document, without `_design/`; `nil`: one of its own.
    ///   - partialFilter: A selector: only documents that match are in the index, which then is used by queries that name
    ///     it in `use_index`, and no others. `nil`: all documents that have the fields.
    /// - Returns: Whether it is new.
    @discardableResult
    public func createIndex(
        _ fields: [JSON], name: String? = nil, design: String? = nil, partialFilter: JSONObject? = nil
    ) async throws -> Bool {
        var index: JSONObject = ["fields": .array(fields)]
        index["partial_filter_selector"] = partialFilter.map(JSON.object)
        var body: JSONObject = ["index": .object(index), "type": "json"]
        body["name"] = name.map(JSON.string)
        body["ddoc"] = design.map(JSON.string)
        let response = try await server.perform(Call("POST", path("_index"), body: .json(.object(body))))
        switch try response.object()["result"]?.stringValue {
        case "created": return true
        case "exists": return false
        default: throw response.badAnswer("the index is neither created nor there")
        }
    }

    /// The indexes for ``find(_:)``: `GET /db/_index`.
    public func indexes() async throws -> [FindIndex] {
        let response = try await server.perform(Call("GET", path("_index")))
        guard let list = try response.object()["indexes"]?.arrayValue else {
            throw response.badAnswer("it has no indexes")
        }
        return try list.map { index in
            guard let name = index["name"]?.stringValue, let type = index["type"]?.stringValue else {
                throw response.badAnswer("an index has no name or type")
            }
            return FindIndex(
                design: index["ddoc"]?.stringValue, name: name, type: type,
                definition: index["def"]?.objectValue ?? [:])
        }
    }

    /// Removes an index: `DELETE /db/_index/design/json/name`.
    ///
    /// - Parameter design: With or without `_design/`.
    public func deleteIndex(_ name: String, design: String) async throws {
        let design = design.hasPrefix("_design/") ? String(design.dropFirst("_design/".count)) : design
        _ = try await server.perform(
            Call("DELETE", path("_index/\(design.percentEncodedSegment)/json/\(name.percentEncodedSegment)")))
    }
}
