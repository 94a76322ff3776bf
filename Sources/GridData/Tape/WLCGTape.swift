import CouchDB
import CouchDocument
import Synchronization

/// The WLCG Tape REST API, version 1.
package final class WLCGTape: TapeService {
    private let access: WebAccess
    private let door: WebService
    private let discovery: String
    /// Protects the interface's own address, once it was found.
    private let found = Mutex<WebService?>(nil)
    private static let wellKnown = "/.well-known/wlcg-tape-rest-api"

    /// An interface.
    ///
    /// - Parameter access: The server, or the whole address of its `.well-known` document.
    package init(_ access: WebAccess) throws {
        var access = access
        var discovery = Self.wellKnown
        if let at = access.url.firstRange(of: "/.well-known/") {
            discovery = String(access.url[at.lowerBound...])
            access.url = String(access.url[..<at.lowerBound])
        }
        self.access = access
        self.discovery = discovery
        door = try WebService(access, kind: "tape")
    }

    package func stage(_ paths: [String], for life: Duration) async throws -> String {
        let seconds = max(1, life.components.seconds)
        let files = paths.map { path -> JSON in ["path": .string(path), "diskLifetime": .string("PT\(seconds)S")] }
        return try await interface { service in
            let answer = try await service.request("POST", "/stage", body: .json(["files": .array(files)]))
            let members = answer.body.isEmpty ? nil : (try? answer.json())?.objectValue
            let place = answer.headers["location"].flatMap { $0.split(separator: "/").last.map(String.init) }
            guard let id = members?["requestId"]?.stringValue ?? place, !id.isEmpty else {
                throw GridError(.badAnswer, "\(service.name): POST /stage: the answer names no request")
            }
            return id
        }
    }

    package func progress(of request: String, _ paths: [String]) async throws -> [String: TapeFileState] {
        let wanted = Set(paths)
        return try await interface { service in
            let answer = try await service.request("GET", "/stage/" + request.percentEncodedSegment)
            guard let members = (try? answer.json())?.objectValue, let files = members["files"]?.arrayValue else {
                throw GridError(.badAnswer, "\(service.name): GET /stage: the answer has no files")
            }
            let isOver = members["completedAt"]?.numberValue.map { $0 > 0 } ?? false
            var states: [String: TapeFileState] = [:]
            for file in files {
                guard let path = file["path"]?.stringValue, wanted.contains(path) else { continue }
                states[path] = Self.state(of: file, isOver: isOver) ?? states[path]
            }
            return states
        }
    }

    private static func state(of file: JSON, isOver: Bool) -> TapeFileState? {
        if file["onDisk"]?.boolValue == true { return .online }
        let said = file["error"]?.stringValue.flatMap { $0.isEmpty ? nil : $0.firstLine }
        switch file["state"]?.stringValue?.uppercased() {
        case "COMPLETED": return .online
        case "FAILED": return .failed(said ?? "the storage says that it failed")
        case "CANCELLED": return .failed(said ?? "the storage cancelled it")
        case "SUBMITTED", "STARTED": return nil
        default:
            if let said { return .failed(said) }
            return isOver ? .failed("the storage ended the request without it") : nil
        }
    }

    package func release(_ paths: [String], of request: String) async throws {
        try await interface { service in
            _ = try await service.request(
                "POST", "/release/" + request.percentEncodedSegment,
                body: .json(["paths": .array(paths.map(JSON.string))]))
        }
    }

    package func end(_ request: String, _ paths: [String]) async throws {
        try await interface { service in
            _ = try await service.request("DELETE", "/stage/" + request.percentEncodedSegment)
        }
    }

    /// Does something with the interface, which is looked for first; and again when it is not where it was.
    private func interface<Value>(_ body: (WebService) async throws -> Value) async throws -> Value {
        let service = if let known = found.withLock({ $0 }) { known } else { try await discover() }
        do { return try await body(service) } catch let error as GridError {
            if error.code == .unavailable || error.code == .refused { found.withLock { $0 = nil } }
            throw error
        }
    }

    private func discover() async throws -> WebService {
        let answer = try await door.request("GET", discovery)
        let endpoints = (try? answer.json())?["endpoints"]?.arrayValue ?? []
        let uris = endpoints.map { (uri: $0["uri"]?.stringValue ?? "", version: $0["version"]?.stringValue ?? "") }
        guard let uri = (uris.first { $0.version == "v1" } ?? uris.first)?.uri, !uri.isEmpty else {
            throw GridError(.badAnswer, "\(door.name): GET \(discovery): the answer names no endpoint")
        }
        guard uri.hasPrefix("https://") || !access.url.hasPrefix("https://") else {
            throw GridError(.refused, "\(door.name): its endpoint \(uri) is not secured: no token is sent there")
        }
        var access = access
        access.url = uri
        let service = try WebService(access, kind: "tape")
        found.withLock { $0 = service }
        return service
    }
}
