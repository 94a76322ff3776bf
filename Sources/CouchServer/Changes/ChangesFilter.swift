import CouchDocument
import CouchStore

/// Which changes a feed tells.
enum ChangesFilter: Sendable {
    case all
    case documents(ids: [String])
    case designs
    case selector(Selector, fields: FindFields?)
    case function(name: String, DesignDocument, request: JSON)
    case view(name: String, DesignDocument)

    /// Reads the `filter` of a request; `body` is the object of a POST.
    init(_ here: DatabaseCall, body: JSONObject?) async throws {
        let query = here.call.query
        switch query["filter"] {
        case nil, "": self = .all
        case "_doc_ids":
            let list = try query.json("doc_ids") ?? body?["doc_ids"]
            guard let ids = list?.arrayValue, ids.allSatisfy({ $0.stringValue != nil }) else {
                throw Refusal.badRequest("`doc_ids` filter parameter is not a list of doc ids.")
            }
            self = .documents(ids: ids.compactMap(\.stringValue))
        case "_design": self = .designs
        case "_selector":
            guard let body else { throw Refusal.badRequest("Selector must be specified in POST payload") }
            guard let selector = body["selector"], selector.objectValue != nil else {
                throw Refusal.badRequest("Selector error: expected a JSON object")
            }
            do throws(StoreError) {
                self = .selector(try Selector(selector), fields: try FindFields(body["fields"] ?? []))
            } catch {
                throw Refusal.badRequest(error.reason)
            }
        case "_view":
            guard let name = query["view"] else {
                throw Refusal.badRequest("`view` filter parameter is not provided.")
            }
            let parts = try Self.parts(name, "`view` must be of the form `designname/viewname`")
            let design = try await Self.design(parts.design, here)
            guard design.views[parts.function] != nil else {
                throw Refusal.notFound("missing json key: \(parts.function)")
            }
            self = .view(name: parts.function, design)
        case let name? where name.hasPrefix("_"): throw Refusal.badRequest("unknown builtin filter name")
        case let name?:
            let parts = try Self.parts(name, "`filter` must be of the form `designname/filtername`")
            let design = try await Self.design(parts.design, here)
            guard design.document["filters"]?[parts.function] != nil else {
                throw Refusal.notFound("missing json key: \(parts.function)")
            }
            let request = try await FunctionRequest(here: here).json(documentID: nil, body: body)
            self = .function(name: parts.function, design, request: request)
        }
    }

    private static func parts(_ text: String, _ reason: String) throws(Refusal) -> (design: String, function: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2 else { throw .badRequest(reason) }
        return (String(parts[0]), String(parts[1]))
    }

    private static func design(_ name: String, _ here: DatabaseCall) async throws -> DesignDocument {
        try await DesignRoutes.design("_design/\(name)", in: here.database)
    }

    /// Whether bodies must be read to decide.
    var needsBodies: Bool {
        switch self {
        case .all, .documents, .designs: false
        case .selector, .function, .view: true
        }
    }

    /// CouchDB finds these documents without reading the log, so its `pending` counts all the others.
    var isLookedUp: Bool {
        switch self {
        case .documents, .designs: true
        default: false
        }
    }

    /// Which of these changes pass.
    func passes(_ changes: [StoredChange], functions: DesignFunctions) async throws -> [Bool] {
        switch self {
        case .all, .documents: return changes.map { _ in true }
        case .designs: return changes.map { $0.id.hasPrefix("_design/") }
        case .selector(let selector, _):
            return changes.map { selector.matches(.object($0.document.document().fields)) }
        case .function(let name, let design, let request):
            let documents = changes.map { $0.document.document().fields }
            return try await functions.filter(name, of: design, documents: documents, request: request)
        case .view(let name, let design):
            // A deleted document is in no view.
            let live = changes.filter { !$0.isDeleted }
            var found = try await functions.filter(
                byView: name, of: design, documents: live.map { $0.document.document().fields })[...]
            return changes.map { $0.isDeleted ? false : found.popFirst() ?? false }
        }
    }
}
