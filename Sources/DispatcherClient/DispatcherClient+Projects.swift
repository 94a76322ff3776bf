import CouchDocument

/// A project to be made.
package struct ProjectRequest: Sendable {
    /// A file with what is attached to it.
    package struct File: Sendable {
        package var namespace: String
        package var name: String
        package var attributes: JSONObject

        package init(namespace: String, name: String, attributes: JSONObject = [:]) {
            self.namespace = namespace
            self.name = name
            self.attributes = attributes
        }
    }

    package var files: [File]
    /// Attached to every file; a file's own win.
    package var commonAttributes: JSONObject = [:]
    package var attributes: JSONObject = [:]
    /// The query that found the files, for people.
    package var query: String?
    /// Seconds; null is no limit.
    package var workerTimeout: JSON = 43200
    package var idleTimeout: JSON = 259_200
    package var users: [String] = []
    package var roles: [String] = []

    package init(files: [File]) { self.files = files }

    var json: JSONObject {
        let files = files.map { file -> JSON in
            var attributes = commonAttributes
            attributes.merge(file.attributes)
            return [
                "name": .string(file.name), "namespace": .string(file.namespace), "attributes": .object(attributes),
            ]
        }
        return [
            "files": .array(files), "project_attributes": .object(attributes),
            "query": query.map(JSON.string) ?? .null, "worker_timeout": workerTimeout, "idle_timeout": idleTimeout,
            "users": .array(users.map(JSON.string)), "roles": .array(roles.map(JSON.string)),
        ]
    }
}

/// Which files of a project go back to the beginning.
package enum RestartedFiles: Sendable {
    case states(done: Bool, failed: Bool, reserved: Bool)
    /// By `namespace:name`.
    case dids([String])
}

// Projects: made, shown, changed. What is shown is what the server sends.
extension DispatcherClient {
    /// - Returns: The project with its `file_handles`.
    package func create(_ request: ProjectRequest) async throws -> JSONObject {
        try Self.object(try await post("create_project", request.json), "POST /create_project")
    }

    /// - Parameters:
    ///   - workerTimeout: Seconds, `"default"` to keep it, or `"no timeout"`.
    ///   - idleTimeout: The same.
    package func copy(
        _ project: Int, attributes: JSONObject, fileAttributes: JSONObject, workerTimeout: JSON, idleTimeout: JSON
    ) async throws -> JSONObject {
        let body: JSONObject = [
            "project_id": .integer(project), "file_attributes": .object(fileAttributes),
            "project_attributes": .object(attributes), "worker_timeout": workerTimeout, "idle_timeout": idleTimeout,
        ]
        return try Self.object(try await post("copy_project", body), "POST /copy_project")
    }

    package func restart(_ project: Int, _ files: RestartedFiles) async throws {
        var body: JSONObject = ["project_id": .integer(project)]
        switch files {
        case .states(let done, let failed, let reserved):
            body.merge(["done": .bool(done), "failed": .bool(failed), "reserved": .bool(reserved)])
        case .dids(let dids): body["handles"] = .array(dids.map(JSON.string))
        }
        _ = try await post("restart_handles", body)
    }

    /// - Returns: The project with its files and their replicas, as it is now.
    package func activate(_ project: Int) async throws -> JSONObject {
        try await getObject("activate_project", [("project_id", "\(project)")])
    }

    package func cancel(_ project: Int) async throws -> JSONObject {
        try await getObject("cancel_project", [("project_id", "\(project)")])
    }

    package func delete(_ project: Int) async throws {
        _ = try await get("delete_project", [("project_id", "\(project)")])
    }

    /// - Returns: `nil` when there is none.
    package func project(_ project: Int, files: Bool, replicas: Bool) async throws -> JSONObject? {
        do {
            return try await getObject(
                "project",
                [
                    ("project_id", "\(project)"), ("with_files", files ? "yes" : "no"),
                    ("with_replicas", replicas ? "yes" : "no"),
                ], isSafe: true)
        } catch let error as DispatcherError where error.code == .notFound { return nil }
    }

    /// What comes with projects that are listed.
    package enum Detail: Sendable {
        /// Their `file_handles`.
        case files
        /// How many files are in which state, as `file_counts`; from a server that does not count, their files.
        case counts
    }

    /// Projects, by number.
    ///
    /// - Parameter owner: `nil`: whoever asks; `all` everybody.
    package func projects(
        owner: String?, state: String?, notState: String?, attributes: JSONObject?, with detail: Detail = .files
    ) async throws -> [JSONObject] {
        var query: [(String, String)] = []
        if let owner { query.append(("owner", owner)) }
        if let state { query.append(("state", state)) }
        if let notState { query.append(("not_state", notState)) }
        query += [("with_handles", detail == .files ? "yes" : "no"), ("with_replicas", "no")]
        if detail == .counts { query.append(("with_counts", "yes")) }
        if let attributes { query.append(("attributes", JSON.object(attributes).description)) }
        let found = try await getList("projects", query)
        if detail == .files || found.allSatisfy({ $0["file_counts"] != nil }) { return found }
        return try await projects(owner: owner, state: state, notState: notState, attributes: attributes)
    }

    /// Projects that a query in the search language finds.
    package func search(
        _ query: String, owner: String?, state: String?, with detail: Detail = .files
    ) async throws -> [JSONObject] {
        var body: JSONObject = [
            "query": .string(query), "with_handles": .bool(detail == .files), "with_replicas": false,
        ]
        if detail == .counts { body["with_counts"] = true }
        body["owner"] = owner.map(JSON.string)
        body["state"] = state.map(JSON.string)
        let found = try Self.list(try await post("search_projects", body, isSafe: true), "POST /search_projects")
        if detail == .files || found.allSatisfy({ $0["file_counts"] != nil }) { return found }
        return try await search(query, owner: owner, state: state)
    }
}
