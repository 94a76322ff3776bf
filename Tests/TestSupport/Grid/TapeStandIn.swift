import Foundation
import Synchronization

/// Stands in for a tape storage with both interfaces: the WLCG Tape REST API, and dCache's pins and namespace. Files come
/// to disk when a test says so.
package final class TapeStandIn: Sendable {
    private struct State {
        var count = 0
        var requests: [String: [String]] = [:]
        var onDisk: Set<String> = []
        var failed: [String: String] = [:]
        var pins: [String: Int] = [:]
    }
    // Protects what it knows.
    private let state: GridStandIn.Arc<State>
    private let standIn: GridStandIn

    /// - Parameter token: The bearer token that it wants.
    package init(token: String? = nil) {
        let state = GridStandIn.Arc(State())
        self.state = state
        standIn = GridStandIn { call in
            if let token, call.request.header("Authorization") != "Bearer \(token)" {
                return .json(["title": "Unauthorized", "detail": "no valid token"], status: 401)
            }
            return Self.answer(call, state)
        }
    }

    package var url: String { standIn.url }
    package func calls(_ path: String = "") -> [GridStandIn.Call] { standIn.calls(path) }
    package func fail(_ path: String, with faults: GridStandIn.Fault...) {
        for fault in faults { standIn.fail(path, with: fault) }
    }

    /// The file is on disk now.
    package func bring(_ path: String) { state.value.withLock { _ = $0.onDisk.insert(path) } }
    /// The file will not come; `nil`: it may again.
    package func spoil(_ path: String, _ reason: String?) { state.value.withLock { $0.failed[path] = reason } }
    /// How often files are pinned now; those that are not are missing.
    package var pins: [String: Int] { state.value.withLock { $0.pins.filter { $0.value > 0 } } }
    /// Requests that it holds.
    package var requests: [String: [String]] { state.value.withLock { $0.requests } }
    /// It knows nothing any more of any request.
    package func forget() {
        state.value.withLock { state in
            state.requests = [:]
            state.pins = [:]
        }
    }

    private static func answer(_ call: GridStandIn.Call, _ state: GridStandIn.Arc<State>) -> GridStandIn.Reply {
        if call.path == "/.well-known/wlcg-tape-rest-api" {
            let host = call.request.header("Host") ?? ""
            return .json([
                "sitename": "test",
                "endpoints": [
                    ["uri": "http://\(host)/api/v0", "version": "v0"],
                    ["uri": "http://\(host)/api/v1", "version": "v1"],
                ],
            ])
        }
        if call.path.hasPrefix("/api/v1/") { return wlcg(call, String(call.path.dropFirst(8)), state) }
        if call.path.hasPrefix("/pins") { return pins(call, String(call.path.dropFirst(5)), state) }
        if call.path.hasPrefix("/namespace") { return locality(call, String(call.path.dropFirst(10)), state) }
        return GridStandIn.Reply(404, "no such page")
    }

    private static func wlcg(_ call: GridStandIn.Call, _ path: String, _ state: GridStandIn.Arc<State>)
        -> GridStandIn.Reply
    {
        let parts = path.split(separator: "/").map(String.init)
        switch (call.method, parts.first, parts.count) {
        case ("POST", "stage", 1):
            guard let files = call.json["files"] as? [[String: String]], !files.isEmpty,
                files.allSatisfy({ $0["path"] != nil && $0["diskLifetime"]?.hasPrefix("PT") == true })
            else { return .json(["title": "bad request"], status: 400) }
            let id = take(files.compactMap { $0["path"] }, state)
            return .json(["requestId": id], status: 201, headers: ["Location: \(call.path)/\(id)"])
        case ("GET", "stage", 2):
            let known = state.value.withLock { $0 }
            guard let paths = known.requests[parts[1]] else { return .json(["title": "not found"], status: 404) }
            return .json([
                "id": parts[1], "createdAt": 1, "startedAt": 2,
                "files": paths.map { path -> [String: Any] in
                    if let reason = known.failed[path] { return ["path": path, "state": "FAILED", "error": reason] }
                    return ["path": path, "onDisk": known.onDisk.contains(path)]
                },
            ])
        case ("POST", "release", 2):
            guard state.value.withLock({ $0.requests[parts[1]] != nil }) else {
                return .json(["title": "not found"], status: 404)
            }
            drop(call.json["paths"] as? [String] ?? [], of: parts[1], state)
            return GridStandIn.Reply()
        case ("DELETE", "stage", 2):
            guard let paths = state.value.withLock({ $0.requests[parts[1]] }) else {
                return .json(["title": "not found"], status: 404)
            }
            drop(paths, of: parts[1], state)
            state.value.withLock { $0.requests[parts[1]] = nil }
            return GridStandIn.Reply()
        default: return GridStandIn.Reply(405, "not so")
        }
    }

    private static func pins(_ call: GridStandIn.Call, _ path: String, _ state: GridStandIn.Arc<State>)
        -> GridStandIn.Reply
    {
        let id = String(path.drop { $0 == "/" })
        switch (call.method, id.isEmpty) {
        case ("POST", true):
            let body = call.json
            let list = (body["target"] as? String).flatMap {
                (try? JSONSerialization.jsonObject(with: Data($0.utf8))) as? [String]
            }
            guard let list, body["expandDirectories"] is NSNull, let arguments = body["arguments"] as? [String: String]
            else { return .json(["errors": [["message": "malformed request", "status": "400"]]], status: 400) }
            switch body["activity"] as? String {
            case "PIN":
                guard arguments["lifetime-unit"] == "SECONDS", arguments["lifetime"].flatMap({ Int($0) }) != nil,
                    body["clearOnSuccess"] as? String == "false", body["clearOnFailure"] as? String == "false"
                else { return .json(["errors": [["message": "malformed pin", "status": "400"]]], status: 400) }
                let taken = take(list.map { (body["target-prefix"] as? String ?? "") + $0 }, state)
                return GridStandIn.Reply(
                    201, "", headers: ["request-url: http://other.example.org/api/v1/bulk/\(taken)"])
            case "UNPIN":
                drop(list.map { (body["target-prefix"] as? String ?? "") + $0 }, of: arguments["id"] ?? "", state)
                return GridStandIn.Reply(201, "", headers: ["request-url: http://other.example.org/api/v1/bulk/u"])
            default: return .json(["errors": [["message": "no such activity", "status": "400"]]], status: 400)
            }
        case ("GET", false):
            let known = state.value.withLock { $0 }
            guard let paths = known.requests[id] else {
                return .json(["errors": [["message": "not found"]]], status: 404)
            }
            return .json([
                "status": "STARTED",
                "targets": paths.map { path -> [String: Any] in
                    if let reason = known.failed[path] {
                        return ["target": path, "state": "FAILED", "errorMessage": reason]
                    }
                    // What was on disk before is told by the namespace alone.
                    return [
                        "target": path,
                        "state": known.onDisk.contains(path) && !path.contains("early") ? "COMPLETED" : "RUNNING",
                    ]
                },
            ])
        case ("DELETE", false):
            state.value.withLock { $0.requests[id] = nil }
            return GridStandIn.Reply(204)
        default: return GridStandIn.Reply(405, "not so")
        }
    }

    private static func locality(_ call: GridStandIn.Call, _ path: String, _ state: GridStandIn.Arc<State>)
        -> GridStandIn.Reply
    {
        guard call.query == "locality=true" else { return .json(["errors": [String]()], status: 400) }
        if path.contains("gone") { return .json(["errors": [["message": "No such file"]]], status: 404) }
        let isOnline = state.value.withLock { $0.onDisk.contains(path) }
        return .json(["fileName": path, "fileLocality": isOnline ? "ONLINE_AND_NEARLINE" : "NEARLINE"])
    }

    private static func take(_ paths: [String], _ state: GridStandIn.Arc<State>) -> String {
        state.value.withLock { state in
            state.count += 1
            let id = "r\(state.count)"
            state.requests[id] = paths
            for path in paths { state.pins[path, default: 0] += 1 }
            return id
        }
    }

    private static func drop(_ paths: [String], of request: String, _ state: GridStandIn.Arc<State>) {
        state.value.withLock { state in
            for path in paths where state.requests[request]?.contains(path) == true {
                state.requests[request]?.removeAll { $0 == path }
                state.pins[path, default: 0] -= 1
            }
        }
    }
}
