import CouchDocument
import CouchStore
import HTTPTypes

/// `/_node/{name}/…`: settings and figures of this server.
struct NodeRoutes: Sendable {
    let service: CouchService
    let call: Call

    func answer() async throws -> Answer? {
        if !call.account.isServerAdmin { throw Refusal.notServerAdmin }
        let segments = call.path.segments
        guard segments.count >= 2 else { return nil }
        guard segments[1] == "_local" || segments[1] == CouchService.nodeName else {
            throw Refusal.notFound("no such node: \(segments[1])")
        }
        guard segments.count > 2 else {
            try call.allow("GET")
            return .json(200, ["name": .string(CouchService.nodeName)])
        }
        switch segments[2] {
        case "_config": return try await configuration(Array(segments.dropFirst(3)))
        case "_versions":
            try call.allow("GET")
            return .json(200, ["javascript_engine": ["name": "javascriptcore"]])
        case "_stats":
            try call.allow("GET")
            var tree: JSON? = service.figures.tree(openDatabases: service.store.databaseNames().count)
            for name in segments.dropFirst(3) { tree = tree?[name] }
            guard let tree else { throw Refusal.notFound("unknown metric") }
            return .json(200, tree)
        case "_system":
            try call.allow("GET")
            return .json(200, ProcessFigures(uptime: service.clock() - service.start).json)
        case "_prometheus":
            try call.allow("GET")
            let text = service.figures.prometheus(
                openDatabases: service.store.databaseNames().count,
                process: ProcessFigures(uptime: service.clock() - service.start),
                tasks: await service.replication.tasks().count)
            return Answer(200, contentType: "text/plain; version=2.0", .bytes(Array(text.utf8)))
        default: return nil
        }
    }

    private func configuration(_ names: [String]) async throws -> Answer {
        func object(_ section: [String: String]) -> JSON {
            .object(JSONObject(section.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
        }
        switch names.count {
        case 0:
            try call.allow("GET")
            let all = service.settings.all.sorted { $0.key < $1.key }
            return .json(200, .object(JSONObject(all.map { ($0.key, object($0.value)) })))
        case 1:
            if names[0] == "_reload" {
                try call.allow("POST")
                return .ok
            }
            try call.allow("GET")
            return .json(200, object(service.settings.all[names[0]] ?? [:]))
        case 2: return try await setting(names[0], names[1])
        default: throw Refusal.notFound("unknown_config_value")
        }
    }

    private func setting(_ section: String, _ key: String) async throws -> Answer {
        let unknown = Refusal.notFound("unknown_config_value")
        switch call.method {
        case "GET", "HEAD":
            guard let value = service.settings[section, key] else { throw unknown }
            return .json(200, .string(value))
        case "PUT":
            guard var value = try await call.json().stringValue else {
                throw Refusal.badRequest("a JSON string expected")
            }
            if let fault = ServerLimits.fault(section, key, value) { throw Refusal.badRequest(fault) }
            if section == Administrators.section {
                value = try await service.administrators.setting(for: key, value)
            }
            return .json(200, .string(try change(section, key, to: value) ?? ""))
        case "DELETE":
            guard let old = try change(section, key, to: nil) else { throw unknown }
            return .json(200, .string(old))
        default: throw Refusal.methodNotAllowed("GET,PUT,DELETE")
        }
    }

    private func change(_ section: String, _ key: String, to value: String?) throws -> String? {
        let old = try service.settings.set(section, key, to: value)
        if section == Administrators.section { service.signIn.forgetUsers() }
        return old
    }
}
