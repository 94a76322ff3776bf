import CouchDocument
import TokenPool

// Projects: made, shown, changed.
extension Dispatcher {
    func createProject(_ call: GatewayCall) async throws -> GatewayAnswer {
        try call.allow("POST")
        let member = try await member(call)
        let body = try await call.object()
        var draft = ProjectDraft(files: try ProjectFields.files(body["files"]))
        draft.attributes = try ProjectFields.object(body["project_attributes"], "project_attributes")
        draft.query = body["query"]?.stringValue
        draft.workerTimeout = try ProjectFields.timeout(body["worker_timeout"], "worker_timeout")
        draft.idleTimeout = try ProjectFields.timeout(body["idle_timeout"], "idle_timeout")
        draft.users = try ProjectFields.names(body["users"], "users")
        draft.roles = try ProjectFields.names(body["roles"], "roles")
        for user in draft.users where try await members.member(user) == nil {
            throw GatewayRefusal.badRequest("there is no user \"\(user)\": nothing was created")
        }
        let (project, files) = try await desk.create(draft, owner: member.name)
        return made(project, files)
    }

    func copyProject(_ call: GatewayCall) async throws -> GatewayAnswer {
        try call.allow("POST")
        let member = try await member(call)
        let body = try await call.object()
        let number = try ProjectFields.number(body["project_id"])
        let copy = try await projects.copy(
            number, owner: member.name,
            attributes: try ProjectFields.object(body["project_attributes"], "project_attributes"),
            fileAttributes: try ProjectFields.object(body["file_attributes"], "file_attributes"),
            workerTimeout: try ProjectFields.changedTimeout(body["worker_timeout"], "worker_timeout"),
            idleTimeout: try ProjectFields.changedTimeout(body["idle_timeout"], "idle_timeout"))
        guard let copy else { throw Self.noProject }
        return made(copy.project, copy.files)
    }

    private func made(_ project: Project, _ files: [Project.FileHandle]) -> GatewayAnswer {
        .json { stream in
            stream.writeOpen(project.json(hasOpenFiles: !files.isEmpty))
            stream.raw(#","file_handles":["#)
            for (index, file) in files.enumerated() {
                if index > 0 { stream.raw(",") }
                stream.write(file.json)
                try await stream.flow()
            }
            stream.raw("]}")
        }
    }

    func restartHandles(_ call: GatewayCall) async throws -> GatewayAnswer {
        try call.allow("POST")
        let member = try await member(call)
        let body = try await call.object()
        let number = try ProjectFields.number(body["project_id"])
        _ = try await project(number, ruledBy: member)
        let which: Projects.Restart
        if let list = body["handles"], !list.isNull {
            which = .files(
                try ProjectFields.names(list, "handles").map { text in
                    guard let did = DID(text) else {
                        throw GatewayRefusal.badRequest("\"\(text)\" is no namespace:name")
                    }
                    return did
                })
        } else {
            var states: Set<FileState> = []
            for state in [FileState.done, .failed, .reserved] where body[state.rawValue]?.boolValue ?? false {
                states.insert(state)
            }
            if body["all"]?.boolValue ?? false { states = [.done, .failed, .reserved] }
            which = .states(states)
        }
        guard let project = try await projects.restart(number, which, by: member.name) else { throw Self.noProject }
        desk.forget(number)
        return try await page(of: project, files: true, replicas: true)
    }

    /// Changes a project and shows it.
    func changeProject(
        _ call: GatewayCall, _ change: (Projects, Int, _ by: String) async throws -> Project?
    ) async throws -> GatewayAnswer {
        let member = try await member(call)
        let number = try Self.number(try RawQuery(call.query, ["project_id"]).required("project_id"))
        _ = try await project(number, ruledBy: member)
        guard let project = try await change(projects, number, member.name) else { throw Self.noProject }
        desk.forget(number)
        return try await page(of: project, files: true, replicas: true)
    }

    func deleteProject(_ call: GatewayCall) async throws -> GatewayAnswer {
        let member = try await member(call)
        let number = try Self.number(try RawQuery(call.query, ["project_id"]).required("project_id"))
        _ = try await project(number, ruledBy: member)
        guard try await projects.delete(number) else { throw Self.noProject }
        desk.forget(number)
        return .json(.null)
    }

    /// A project that its owner or an admin asks for.
    private func project(_ number: Int, ruledBy member: Members.Member) async throws -> Project {
        guard let project = try await projects.project(number) else { throw Self.noProject }
        guard member.rules(project) else { throw GatewayRefusal(403, "Forbidden") }
        return project
    }

    func showProject(_ call: GatewayCall) async throws -> GatewayAnswer {
        try call.allow("GET")
        try await requireReader(call)
        let query = try RawQuery(call.query, ["project_id", "with_files", "with_replicas"])
        let number = try Self.number(try query.required("project_id"))
        guard let project = try await projects.project(number) else { throw Self.noProject }
        return try await page(
            of: project, files: try query.flag("with_files", default: true),
            replicas: try query.flag("with_replicas", default: false))
    }

    func listProjects(_ call: GatewayCall) async throws -> GatewayAnswer {
        try call.allow("GET")
        let member = try await member(call)
        let query = try RawQuery(
            call.query,
            ["owner", "state", "not_state", "with_handles", "with_replicas", "with_counts", "attributes"])
        var selection = Projects.Selection(owner: query["owner"] ?? member.name)
        if selection.owner == "all" { selection.owner = nil }
        if let text = query["state"], !text.isEmpty, text != "all" {
            // The original takes any word, and finds nothing in most states.
            guard let state = ProjectState(rawValue: text), state.isVisible else { return .json([]) }
            selection.state = state
        }
        selection.notState = query["not_state"].flatMap(ProjectState.init)
        if let text = query["attributes"], !text.isEmpty {
            do {
                selection.attributes = try ProjectFields.object(try JSON(parsing: text), "attributes")
            } catch is JSONError {
                throw GatewayRefusal.badRequest("attributes is no JSON")
            }
        }
        let found = try await projects.list(selection)
        if try query.flag("with_counts", default: false) { return counted(found) }
        let files = try query.flag("with_handles", default: true)
        let replicas = try query.flag("with_replicas", default: false)
        return pages(of: found, files: files, replicas: replicas)
    }

    func listHandles(_ call: GatewayCall) async throws -> GatewayAnswer {
        try call.allow("GET")
        try await requireReader(call)
        let query = try RawQuery(call.query, ["project_id", "state", "not_state", "worker_id"])
        let number = try Self.number(try query.required("project_id"))
        guard try await projects.project(number) != nil else { throw Self.noProject }
        let (state, notState) = (query["state"], query["not_state"])
        // Ours alone: what a worker has, without the rest of the project.
        if let worker = query["worker_id"], !worker.isEmpty {
            return .json(.array(try await projects.files(of: number, heldBy: worker).map { .object($0.json) }))
        }
        return .json { [self] stream in
            stream.raw("[")
            var count = 0
            try await projects.eachPage(of: number) { files in
                for file in files where state.map({ $0 == file.state.rawValue }) ?? true {
                    if let notState, notState == file.state.rawValue { continue }
                    if count > 0 { stream.raw(",") }
                    count += 1
                    stream.write(file.json)
                }
                try await stream.flow()
            }
            stream.raw("]")
        }
    }

    private func page(of project: Project, files: Bool, replicas: Bool) async throws -> GatewayAnswer {
        .json { [self] in try await write(project, files: files, replicas: replicas, to: &$0) }
    }

    func pages(of found: [Project], files: Bool, replicas: Bool) -> GatewayAnswer {
        .json { [self] stream in
            stream.raw("[")
            for (index, project) in found.enumerated() {
                if index > 0 { stream.raw(",") }
                try await write(project, files: files, replicas: replicas, to: &stream)
            }
            stream.raw("]")
        }
    }

    private func write(_ project: Project, files: Bool, replicas: Bool, to stream: inout JSONStream) async throws {
        let isOpen = project.state == .active ? try await projects.counts(of: project.number).open > 0 : false
        guard files || replicas else {
            stream.write(project.json(hasOpenFiles: isOpen))
            return
        }
        let sites = replicas ? try await desk.sites() : nil
        stream.writeOpen(project.json(hasOpenFiles: isOpen))
        stream.raw(#","file_handles":["#)
        var count = 0
        var out = stream
        try await projects.eachPage(of: project.number) { files in
            let found =
                sites == nil || project.isVirtual ? [] : try await projects.replicas(of: files.compactMap(\.did))
            let byFile = Dictionary(found.map { ($0.did, $0) }, uniquingKeysWith: { $1 })
            for file in files {
                if count > 0 { out.raw(",") }
                count += 1
                var members = file.json
                if let sites {
                    members["replicas"] = Self.replicas(file.did.flatMap { byFile[$0] }, sites)
                }
                out.write(members)
            }
            try await out.flow()
        }
        stream = out
        stream.raw("]}")
    }

    /// The replicas of a file that there are for anybody.
    static func replicas(_ file: FileReplicas?, _ sites: Sites) -> JSON {
        guard let file else { return [:] }
        return .object(
            JSONObject(
                file.replicas.compactMap { replica in
                    guard let rse = sites.rses[replica.rse], rse.isEnabled else { return nil }
                    return (replica.rse, replica.json(of: file.did, isUp: rse.isUp))
                }))
    }
}
