import CouchDocument
import CouchStore
import HTTPTypes

/// The request as design functions see it: CouchDB's `req`.
struct FunctionRequest: Sendable {
    let here: DatabaseCall

    /// - Parameters:
    ///   - documentID: The document that the path names.
    ///   - body: The JSON body, when it was read already.
    ///   - text: The body as text.
    func json(documentID: String?, body: JSONObject? = nil, text: String? = nil) async throws -> JSON {
        let call = here.call
        var headers = JSONObject()
        for field in call.headers where field.name != .authorization && field.name != .cookie {
            headers[field.name.canonicalName.split(separator: "-").map { $0.capitalized }.joined(separator: "-")] =
                .string(field.value)
        }
        if let host = call.hostHeader { headers["Host"] = .string(host) }
        var query = JSONObject()
        for (name, value) in call.query.items { query[name] = .string(value) }
        var form = JSONObject()
        if let text, call.headers[.contentType]?.hasPrefix("application/x-www-form-urlencoded") == true {
            for (name, value) in try Query(Substring(text)).items { form[name] = .string(value) }
        }
        let path = JSON.array(call.path.segments.map(JSON.string))
        return [
            "info": try await DatabaseRoutes.info(of: here.database),
            "id": documentID.map(JSON.string) ?? .null,
            "uuid": .string(here.service.uuids.next()),
            "method": .string(call.method),
            "requested_path": path,
            "path": path,
            "raw_path": .string(call.target),
            "query": .object(query),
            "headers": .object(headers),
            "body": .string(text ?? body.map { JSON.object($0).description } ?? "undefined"),
            "peer": .string(call.peer),
            "form": .object(form),
            "cookie": [:],
            "userCtx": here.account.context(database: here.database.name),
            "secObj": here.security.json,
        ]
    }
}

extension String {
    fileprivate var capitalized: String { prefix(1).uppercased() + dropFirst() }
}

extension Substring {
    fileprivate var capitalized: String { String(self).capitalized }
}
