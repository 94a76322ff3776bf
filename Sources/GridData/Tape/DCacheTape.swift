import CouchDB
import CouchDocument

/// dCache's native interface: pins as bulk requests, and the locality of files in its namespace.
package struct DCacheTape: TapeService {
    private let pins: WebService
    private let namespace: WebService?
    private let prefix: String
    /// Places of files that are asked for at a time.
    private static let looksAtATime = 8
    private static let mostLooks = 200

    /// An interface.
    ///
    /// - Parameters:
    ///   - pins: Where requests are taken.
    ///   - namespace: Where files tell their locality; `nil` trusts the requests alone.
    ///   - prefix: What the storage puts before paths.
    package init(pins: WebAccess, namespace: WebAccess?, prefix: String) throws {
        self.pins = try WebService(pins, kind: "dCache")
        self.namespace = try namespace.map { try WebService($0, kind: "dCache") }
        self.prefix = prefix
    }

    package func stage(_ paths: [String], for life: Duration) async throws -> String {
        var body = bulk("PIN", paths)
        body["clearOnSuccess"] = "false"
        body["clearOnFailure"] = "false"
        body["arguments"] = [
            "lifetime": .string(String(max(1, life.components.seconds))), "lifetime-unit": "SECONDS",
        ]
        let answer = try await pins.request("POST", "", body: .json(.object(body)))
        // The address may be that of another door of the same storage; its last part names the request.
        guard let id = answer.headers["request-url"]?.split(separator: "/").last.map(String.init), !id.isEmpty else {
            throw GridError(.badAnswer, "\(pins.name): POST: the answer has no request-url")
        }
        return id
    }

    package func progress(of request: String, _ paths: [String]) async throws -> [String: TapeFileState] {
        let answer = try await pins.request("GET", "/" + request.percentEncodedSegment)
        guard let members = (try? answer.json())?.objectValue else {
            throw GridError(.badAnswer, "\(pins.name): GET: the answer is no object")
        }
        let targets = members["targets"]?.arrayValue ?? []
        let byTarget = Dictionary(
            paths.map { ($0, $0) } + paths.map { (prefix + $0, $0) }, uniquingKeysWith: { first, _ in first })
        var states: [String: TapeFileState] = [:]
        for target in targets {
            guard let path = target["target"]?.stringValue.flatMap({ byTarget[$0] }) else { continue }
            let said = (target["errorMessage"] ?? target["error"])?.stringValue?.firstLine
            switch target["state"]?.stringValue?.uppercased() {
            case "COMPLETED": states[path] = .online
            case "FAILED": states[path] = .failed(said ?? "the storage says that it failed")
            case "CANCELLED": states[path] = .failed(said ?? "the storage cancelled it")
            case "SKIPPED": states[path] = .failed(said ?? "the storage passed over it")
            default: break
            }
        }
        try await look(for: paths.filter { states[$0] == nil }.prefix(Self.mostLooks), &states)
        return states
    }

    /// Asks where files are of which the request says nothing yet.
    private func look(for paths: ArraySlice<String>, _ states: inout [String: TapeFileState]) async throws {
        guard let namespace else { return }
        try await withThrowingTaskGroup(of: (String, TapeFileState?).self) { group in
            var running = 0
            for path in paths {
                if running == Self.looksAtATime, let (path, state) = try await group.next() {
                    states[path] = state
                    running -= 1
                }
                let full = "/" + WebAddress.encoded(path: (prefix + path).drop { $0 == "/" })
                group.addTask {
                    do {
                        let answer = try await namespace.request("GET", full, query: [("locality", "true")])
                        let locality = (try? answer.json())?["fileLocality"]?.stringValue ?? ""
                        return (path, locality.contains("ONLINE") ? .online : nil)
                    } catch let error as GridError where error.code == .notFound {
                        return (path, .failed("the storage has no such file"))
                    }
                }
                running += 1
            }
            for try await (path, state) in group { states[path] = state }
        }
    }

    package func release(_ paths: [String], of request: String) async throws {
        var body = bulk("UNPIN", paths)
        body["clearOnSuccess"] = "true"
        body["clearOnFailure"] = "true"
        body["arguments"] = ["id": .string(request)]
        _ = try await pins.request("POST", "", body: .json(.object(body)))
    }

    package func end(_ request: String, _ paths: [String]) async throws {
        if !paths.isEmpty { try await release(paths, of: request) }
        _ = try await pins.request("DELETE", "/" + request.percentEncodedSegment)
    }

    private func bulk(_ activity: String, _ paths: [String]) -> JSONObject {
        var body: JSONObject = [
            // A list in a text: so the interface wants it.
            "target": .string(JSON.array(paths.map(JSON.string)).description), "activity": .string(activity),
            "expandDirectories": nil,
        ]
        if !prefix.isEmpty { body["target-prefix"] = .string(prefix) }
        return body
    }
}
