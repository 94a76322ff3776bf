import CouchDocument
import CouchStore

/// `_rewrite/…`: paths that a design document leads elsewhere, by rules of `from`, `to`, `method` and `query`.
struct RewriteRoutes: Sendable {
    let here: DatabaseCall
    let id: String

    func answer() async throws -> Answer {
        let design = try await DesignRoutes.design(id, in: here.database)
        guard let rules = design.document["rewrites"]?.arrayValue else { throw Refusal.notFound("missing") }
        let path = Array(here.call.path.segments.dropFirst(4))
        for rule in rules {
            if let method = rule["method"]?.stringValue, method != "*", method != here.call.method { continue }
            let pattern = Self.names(rule["from"]?.stringValue ?? "*")
            guard let bound = Self.match(pattern, path), let target = rule["to"]?.stringValue else { continue }
            return try await follow(target, bound, query: rule["query"]?.objectValue ?? [:])
        }
        throw Refusal.notFound("missing")
    }

    private static func names(_ path: String) -> [String] { path.split(separator: "/").map(String.init) }

    /// What the `:names` and the `*` of a pattern stand for; `nil` when the path does not match.
    private static func match(_ pattern: [String], _ path: [String]) -> [String: String]? {
        var bound: [String: String] = [:]
        for (index, name) in pattern.enumerated() {
            if name == "*" {
                bound["*"] = path.dropFirst(index).joined(separator: "/")
                return bound
            }
            guard index < path.count else { return nil }
            if name.hasPrefix(":") {
                bound[name] = path[index]
            } else if name != path[index] {
                return nil
            }
        }
        return pattern.count == path.count ? bound : nil
    }

    private func follow(_ target: String, _ bound: [String: String], query: JSONObject) async throws -> Answer {
        // `to` is relative to the design document; it may climb to the database but not out of it.
        var segments = Array(here.call.path.segments.prefix(3))
        for name in Self.names(target) {
            switch name {
            case ".": continue
            case "..":
                guard segments.count > 1 else { throw Refusal.badRequest("a rewrite may not leave the database") }
                segments.removeLast()
            case "*": segments += Self.names(bound["*"] ?? "")
            default: segments.append(bound[name] ?? name)
            }
        }
        var call = here.call
        call.path = RequestPath(segments: segments)
        let added = query.map { member in
            let text = member.value.stringValue ?? member.value.description
            return (name: member.name, value: bound[text] ?? text)
        }
        call.query = Query(items: added + here.call.query.items)
        if segments.count > 3 && segments[1] == "_design" && segments[3] == "_rewrite" {
            throw Refusal.badRequest("a rewrite may not lead to another")
        }
        return try await DatabaseCall(service: here.service, call: call, database: here.database).answer()
    }
}
