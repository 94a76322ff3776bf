import CouchDocument
import TokenPool

// What happened to projects and their files: pages of our own, readable for whoever may see the projects.
extension Dispatcher {
    /// The log of a project, the oldest first.
    func projectLog(_ call: GatewayCall) async throws -> GatewayAnswer {
        let project = try await seen(call, RawQuery(call.query, ["project_id"]).required("project_id"))
        return .json(.array(project.log.map(\.json)))
    }

    /// The log of a file, the oldest first.
    func fileLog(_ call: GatewayCall) async throws -> GatewayAnswer {
        let (project, file) = try await seenFile(call)
        return .json(.array(file.log(created: project.created).map(\.json)))
    }

    /// How many files of a project are in which state.
    func stateCounts(_ call: GatewayCall) async throws -> GatewayAnswer {
        let project = try await seen(call, RawQuery(call.query, ["project_id"]).required("project_id"))
        let counts = try await projects.counts(of: project.number)
        return .json(.object(JSONObject(FileState.allCases.map { ($0.rawValue, .integer(counts[$0])) })))
    }

    /// How often what happened to files, of a project or of all, in parts of a stretch of time.
    func eventCounts(_ call: GatewayCall) async throws -> GatewayAnswer {
        try call.allow("GET")
        try await requireReader(call)
        let query = try RawQuery(call.query, ["project_id", "window", "from", "to", "part"])
        let project = try await query["project_id"].asyncMap { try await seen(call, $0).number }
        let window = try Self.window(query, now: projects.pool.clock.now())
        let parts = try await projects.activity(of: project, window)
        return .json([
            "from": window.start.json, "to": window.end.json,
            "part": .integer(Int(window.part.components.seconds)),
            "counts": .array(
                parts.map { start, activity in
                    var members: JSONObject = ["t": start.json]
                    members.merge(activity.json)
                    return .object(members)
                }),
        ])
    }

    /// The windows of Data Dispatcher's pages: their length and that of their parts, in seconds.
    private static let windows = [
        "month": (30 * 86400, 7200), "week": (7 * 86400, 1800), "day": (86400, 300), "hour": (3600, 10),
    ]

    private static func window(_ query: RawQuery, now: Timestamp) throws(GatewayRefusal) -> ActivityWindow {
        func seconds(_ name: String) throws(GatewayRefusal) -> Int? {
            guard let text = query[name], !text.isEmpty else { return nil }
            guard let value = Int(text), (0...100_000_000_000).contains(value) else {
                throw .badRequest("\(name) is a number of seconds, not \"\(text)\"")
            }
            return value
        }
        let name = query["window"] ?? "day"
        guard let (length, part) = windows[name] else {
            throw .badRequest("window is month, week, day or hour, not \"\(name)\"")
        }
        let end = try seconds("to") ?? now.seconds + 1
        let start = try seconds("from") ?? max(0, end - length)
        let wanted = ActivityWindow(
            from: Timestamp(seconds: start), to: Timestamp(seconds: end), part: .seconds(try seconds("part") ?? part))
        guard let wanted else {
            let most = ActivityWindow.mostParts
            throw .badRequest("from \(start) to \(end): want up to \(most) parts, each of a multiple of 10 seconds")
        }
        return wanted
    }

    /// A project that somebody wants to read.
    private func seen(_ call: GatewayCall, _ number: String) async throws -> Project {
        try call.allow("GET")
        try await requireReader(call)
        guard let project = try await projects.project(try Self.number(number)) else { throw Self.noProject }
        return project
    }

    /// A file that somebody wants to read, named `project:namespace:name`.
    private func seenFile(_ call: GatewayCall) async throws -> (Project, Project.FileHandle) {
        let (number, did) = try Self.handle(RawQuery(call.query, ["handle_id"]).required("handle_id"))
        let project = try await seen(call, "\(number)")
        guard let file = try await projects.file(did, of: number) else {
            throw GatewayRefusal(404, "file \"\(did)\" is not in project \(number)")
        }
        return (project, file)
    }
}

extension Optional {
    fileprivate func asyncMap<Value>(_ transform: (Wrapped) async throws -> Value) async throws -> Value? {
        if let self { try await transform(self) } else { nil }
    }
}
