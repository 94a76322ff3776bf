import CouchDocument

/// What a worker gets that asks for a file.
package enum NextFile: Sendable {
    /// A file handle with `replicas` and `project_attributes`.
    case file(JSONObject)
    /// Nothing for now.
    case nothing
    /// The project is over: it ended, or was cancelled or abandoned.
    case over
}

/// What became of a file.
package enum FileVerdict: Sendable {
    case done
    /// To be tried again.
    case retry
    /// For good.
    case failed
}

// Files: reserved, held and given back.
extension DispatcherClient {
    /// Asks for a file.
    ///
    /// - Parameter wait: A server of ours answers when there is a file, or after so many seconds; others at once.
    package func next(project: Int, worker: String, site: String, wait: Int = 0) async throws -> NextFile {
        var query = [("project_id", "\(project)"), ("worker_id", worker), ("cpu_site", site)]
        if wait > 0 { query.append(("wait", "\(wait)")) }
        let answer: JSON
        do {
            answer = try await get("next_file", query, silence: .seconds(wait + 60))
        } catch let error as DispatcherError where error.status == 400 && error.reason.hasPrefix("Inactive project") {
            // How the original says that a project is over.
            return .over
        }
        if let handle = answer["handle"]?.objectValue { return .file(handle) }
        return answer["retry"]?.boolValue ?? false ? .nothing : .over
    }

    /// Waits for a file.
    ///
    /// - Parameter limit: `nil`: until there is one or the project is over.
    /// - Returns: ``NextFile/nothing`` when the time is over.
    package func next(project: Int, worker: String, site: String, within limit: Duration?) async throws -> NextFile {
        let clock = ContinuousClock()
        let start = clock.now
        var pause = Duration.milliseconds(500)
        while true {
            let left = limit.map { $0 - (clock.now - start) }
            let wait = left.map { max(0, min(20, Int($0.components.seconds))) } ?? 20
            let asked = clock.now
            let answer = try await next(project: project, worker: worker, site: site, wait: wait)
            guard case .nothing = answer else { return answer }
            if let left, left - (clock.now - asked) <= .zero { return .nothing }
            guard clock.now - asked < .seconds(wait) * 0.9 || wait == 0 else { continue }
            // The server does not wait, or there is less than a second left.
            let rest = limit.map { $0 - (clock.now - start) } ?? pause
            do { try await Task.sleep(for: min(pause * Double.random(in: 0.5...1), rest)) } catch {
                throw DispatcherError(code: .cancelled, reason: "cancelled", attempted: "GET /next_file")
            }
            pause = min(pause * 1.5, .seconds(10))
        }
    }

    /// Gives a file back.
    ///
    /// - Parameter worker: Who must have it; `nil` for whoever has.
    package func release(
        _ did: String, of project: Int, as verdict: FileVerdict, worker: String?
    ) async throws {
        var query = [("handle_id", "\(project):\(did)")]
        switch verdict {
        case .done: query += [("failed", "no"), ("retry", "yes")]
        case .retry: query += [("failed", "yes"), ("retry", "yes")]
        case .failed: query += [("failed", "yes"), ("retry", "no")]
        }
        if let worker { query.append(("worker_id", worker)) }
        _ = try await get("release", query)
    }

    /// Says that the worker lives: the time-outs of its files begin anew.
    ///
    /// - Returns: Which files these are, by name; `nil` when the server knows no such thing.
    package func renew(project: Int, worker: String) async throws -> [String]? {
        do {
            let answer = try await post(
                "renew?project_id=\(project)&worker_id=\(worker.percentEncodedSegment)", [:], isSafe: true)
            return answer["files"]?.arrayValue?.compactMap(\.stringValue)
        } catch let error as DispatcherError where error.code == .notFound && error.reason != "Project not found" {
            return nil
        }
    }

    /// The files that a worker has.
    package func reserved(project: Int, worker: String) async throws -> [JSONObject] {
        let handles = try await getList("handles", [("project_id", "\(project)"), ("state", "reserved")])
        return handles.filter { $0["worker_id"]?.stringValue == worker }
    }

    /// A file of a project, with its replicas; `nil` when the project or the file is not there.
    package func handle(project: Int, did: String) async throws -> JSONObject? {
        guard let colon = did.firstIndex(of: ":") else { return nil }
        do {
            return try await getObject(
                "file_handle",
                [
                    ("project_id", "\(project)"), ("namespace", String(did[..<colon])),
                    ("name", String(did[colon...].dropFirst())),
                ], isSafe: true)
        } catch let error as DispatcherError
            where error.code == .notFound && ["Handle not found", "Project not found"].contains(error.reason)
        {
            return nil
        } catch let error as DispatcherError where error.code == .notFound || error.status == 500 {
            // The original has that page and fails to answer.
        }
        let found = try await self.project(project, files: true, replicas: true)
        return found?["file_handles"]?.arrayValue?.lazy.compactMap(\.objectValue).first { $0.did == did }
    }
}

extension JSONObject {
    /// What a file handle is called: `namespace:name`.
    package var did: String { "\(self["namespace"]?.stringValue ?? ""):\(self["name"]?.stringValue ?? "")" }
}
