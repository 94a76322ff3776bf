import CouchDocument
import TokenPool

// What our own commands look at, so that they need not fetch whole projects as Data Dispatcher's do.
extension Dispatcher {
    /// One file with its replicas.
    func showFile(_ call: GatewayCall) async throws -> GatewayAnswer {
        try call.allow("GET")
        try await requireReader(call)
        let query = try RawQuery(call.query, ["project_id", "namespace", "name"])
        let number = try Self.number(try query.required("project_id"))
        guard let did = DID(namespace: try query.required("namespace"), name: try query.required("name")) else {
            throw GatewayRefusal.badRequest("a namespace has no colon")
        }
        guard let project = try await projects.project(number) else { throw Self.noProject }
        guard let file = try await projects.file(did, of: number) else {
            throw GatewayRefusal(404, "Handle not found")
        }
        var members = file.json
        let replicas = project.isVirtual ? nil : try await projects.replicas(of: [did]).first
        members["replicas"] = Self.replicas(replicas, try await desk.sites())
        return .json(.object(members))
    }

    /// Projects with how many files are in which state, and without the files.
    func counted(_ found: [Project]) -> GatewayAnswer {
        .json { [self] stream in
            stream.raw("[")
            for (index, project) in found.enumerated() {
                if index > 0 { stream.raw(",") }
                let counts = try await projects.counts(of: project.number)
                var members = project.json(hasOpenFiles: counts.open > 0)
                members["file_counts"] = .object(
                    JSONObject(
                        [FileState.initial, .reserved, .done, .failed].map { ($0.rawValue, .integer(counts[$0])) }))
                stream.write(members)
                try await stream.flow()
            }
            stream.raw("]")
        }
    }
}
