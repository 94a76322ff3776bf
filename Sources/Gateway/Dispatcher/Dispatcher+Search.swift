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
        let found = try await projects.list(selection).filter(query.matches)
        return pages(
            of: found, files: body["with_handles"]?.boolValue ?? false,
            replicas: body["with_replicas"]?.boolValue ?? false)
    }
}
