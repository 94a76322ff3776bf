import CouchDocument
import TokenPool

// Searching.
extension Dispatcher {
    func searchProjects(_ call: GatewayCall) async throws -> GatewayAnswer {
        try call.allow("POST")
        try await requireReader(call)
        let body = try await call.object()
        guard let text = body["query"]?.stringValue else { throw GatewayRefusal.badRequest("query is missing") }
        let query = try ProjectQuery(text)
        var selection = Projects.Selection(owner: body["owner"]?.stringValue)
        if let state = body["state"]?.stringValue, state != "all" {
            guard let state = ProjectState(rawValue: state), state.isVisible else { return .json([]) }
            selection.state = state
        }
        var found: [Project] = []
        for (index, project) in try await projects.list(selection).enumerated() where try query.matches(project) {
            found.append(project)
            // Others get their turn between the projects.
            if index % 64 == 63 { await Task.yield() }
        }
        if body["with_counts"]?.boolValue ?? false { return counted(found) }
        return pages(
            of: found, files: body["with_handles"]?.boolValue ?? false,
            replicas: body["with_replicas"]?.boolValue ?? false)
    }
}
