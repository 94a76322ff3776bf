import CouchDocument
import Foundation
import Synchronization

/// The real server behind something that spoils `_bulk_docs` and reads as a script says, for what a cluster answers on a
/// bad day: all else goes through as it is.
package final class FaultyServer: Sendable {
    /// What becomes of a request.
    package enum Fault: Hashable, Sendable {
        /// As if nothing were wrong.
        case none
        /// Done, and answered with 202: too few copies.
        case accepted
        /// Not done, and answered with this status.
        case refused(Int)
        /// Done, and answered with this status: the node was lost after its work.
        case doneButAnswered(Int)
        /// Done, and the connection cut in the middle of the answer.
        case doneButCut
        /// Not done: the connection is cut.
        case cut
        /// The documents with these ids are not written; their rows say this error word.
        case rows([String: String])
        /// All are written, but the rows of these ids say this error word: another node failed.
        case doneButRows([String: String])
    }

    private struct State {
        var faults: [String: [Fault]] = [:]
        var seen: [String: Int] = [:]
    }
    /// Protects the script, which the threads of all connections follow.
    private final class Script: Sendable {
        let state = Mutex(State())

        /// The fault for the next request to that endpoint.
        func next(_ endpoint: String) -> Fault {
            state.withLock { state in
                state.seen[endpoint, default: 0] += 1
                guard let first = state.faults[endpoint]?.first else { return .none }
                state.faults[endpoint]?.removeFirst()
                return first
            }
        }
    }
    private let script: Script
    private let peer: ScriptedPeer

    /// Its address, with the user and password of the server behind.
    package let url: String

    package init(_ server: TestServer) {
        let script = Script()
        self.script = script
        var address = URLComponents(string: server.url)
        let port = address?.port ?? 0
        let peer = ScriptedPeer { client in
            while let request = client.request() {
                let path = request.line.split(separator: " ")[1].split(separator: "?")[0]
                let fault = script.next(String(path.split(separator: "/").last ?? ""))
                guard Self.answer(request, fault, to: client, port) else { return }
            }
        }
        self.peer = peer
        address?.port = URLComponents(string: peer.url)?.port
        url = address?.string ?? ""
    }

    /// Spoils the next requests to an endpoint (`_bulk_docs`, `_all_docs`, a view's name) one after the other.
    package func spoil(_ endpoint: String, _ faults: Fault...) {
        script.state.withLock { $0.faults[endpoint, default: []] += faults }
    }

    /// How many requests there were to an endpoint.
    package func requests(_ endpoint: String) -> Int { script.state.withLock { $0.seen[endpoint] ?? 0 } }

    /// Answers a request; whether the connection goes on.
    private static func answer(_ request: PeerRequest, _ fault: Fault, to client: PeerConnection, _ port: Int) -> Bool {
        switch fault {
        case .none:
            guard let answer = forward(request, port) else { return false }
            return client.answer(answer.status, answer.body)
        case .accepted:
            guard let answer = forward(request, port) else { return false }
            return client.answer(202, answer.body)
        case .refused(let status): return client.answer(status, failure, headers: ["Retry-After: 0"])
        case .doneButAnswered(let status):
            guard forward(request, port) != nil else { return false }
            return client.answer(status, failure)
        case .doneButCut:
            guard let answer = forward(request, port) else { return false }
            client.send("HTTP/1.1 201 X\r\nContent-Length: \(answer.body.utf8.count)\r\n\r\n[")
            client.reset()
            return false
        case .cut:
            client.reset()
            return false
        case .rows(let errors):
            guard let (documents, rows) = split(request, without: Set(errors.keys), port) else { return false }
            return client.answer(201, merge(documents, rows, errors))
        case .doneButRows(let errors):
            guard let (documents, rows) = split(request, without: [], port) else { return false }
            return client.answer(201, merge(documents, rows, errors))
        }
    }

    private static let failure = #"{"error":"internal_server_error","reason":"a node is away"}"#

    /// Sends only the documents that are not left out; answers all ids in order, and the rows of those that were sent.
    private static func split(
        _ request: PeerRequest, without left: Set<String>, _ port: Int
    ) -> (ids: [String], rows: [String: JSON])? {
        guard let body = try? JSON(parsing: request.body), let documents = body["docs"]?.arrayValue else { return nil }
        let ids = documents.map { $0["_id"]?.stringValue ?? "" }
        let sent = documents.filter { !left.contains($0["_id"]?.stringValue ?? "") }
        let changed = PeerRequest(
            line: request.line, headers: request.headers, body: JSON.object(["docs": .array(sent)]).encoded())
        guard let answer = forward(changed, port), let rows = try? JSON(parsing: answer.body).arrayValue else {
            return nil
        }
        return (ids, Dictionary(rows.map { ($0["id"]?.stringValue ?? "", $0) }, uniquingKeysWith: { $1 }))
    }

    private static func merge(_ ids: [String], _ rows: [String: JSON], _ errors: [String: String]) -> String {
        JSON.array(
            ids.map { id in
                guard let word = errors[id] else { return rows[id] ?? .null }
                return ["id": .string(id), "error": .string(word), "reason": "a node is away"]
            }
        ).description
    }

    /// Asks the server behind, on a connection of its own.
    private static func forward(_ request: PeerRequest, _ port: Int) -> (status: Int, body: String)? {
        guard let server = PeerConnection(toPort: port) else { return nil }
        let dropped = ["content-length:", "connection:", "expect:", "accept-encoding:"]
        let headers = request.headers.filter { header in !dropped.contains { header.lowercased().hasPrefix($0) } }
        let head = [request.line] + headers + ["Connection: close", "Content-Length: \(request.body.count)"]
        server.send(head.joined(separator: "\r\n") + "\r\n\r\n")
        server.send(request.body)
        var bytes: [UInt8] = []
        while case let more = server.receive(upTo: 65536), !more.isEmpty { bytes += more }
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.range(of: "\r\n\r\n"), let status = Int(text.dropFirst(9).prefix(3)) else { return nil }
        let isChunked = text[..<end.lowerBound].lowercased().contains("transfer-encoding: chunked")
        let body = String(text[end.upperBound...])
        return (status, isChunked ? unchunked(body) : body)
    }

    private static func unchunked(_ text: String) -> String {
        var rest = Array(text.utf8)[...]
        var body: [UInt8] = []
        while let end = rest.firstIndex(of: 13),
            let size = Int(String(decoding: rest[..<end], as: UTF8.self), radix: 16),
            size > 0
        {
            let start = end + 2
            body += rest[start..<min(start + size, rest.endIndex)]
            rest = rest.dropFirst(start + size + 2 - rest.startIndex)
        }
        return String(decoding: body, as: UTF8.self)
    }
}
