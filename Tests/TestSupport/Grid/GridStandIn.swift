import Foundation
import Synchronization

/// A service of the grid that stands in for a real one: its bytes on a real port, and faults when a test wants them.
package final class GridStandIn: Sendable {
    /// A request in parts.
    package struct Call: Sendable {
        package let method: String
        /// Percent-decoded, without the query.
        package let path: String
        package let query: String
        package let request: PeerRequest

        package var text: String { String(decoding: request.body, as: UTF8.self) }
        package var json: [String: Any] {
            ((try? JSONSerialization.jsonObject(with: Data(request.body))) as? [String: Any]) ?? [:]
        }
    }

    /// An answer.
    package struct Reply: Sendable {
        package var status = 200
        package var headers: [String] = []
        package var body = ""

        package init(_ status: Int = 200, _ body: String = "", headers: [String] = []) {
            self.status = status
            self.body = body
            self.headers = headers
        }

        package static func json(_ value: [String: Any], status: Int = 200, headers: [String] = []) -> Reply {
            let data =
                (try? JSONSerialization.data(withJSONObject: value, options: [.withoutEscapingSlashes])) ?? Data()
            return Reply(
                status, String(decoding: data, as: UTF8.self), headers: headers + ["Content-Type: application/json"])
        }
    }

    /// What goes wrong with an answer.
    package enum Fault: Sendable {
        /// Another status with that body.
        case status(Int, String)
        /// The connection is cut after so many bytes of the body.
        case cut(Int)
        /// This stands in front of the body.
        case before(String)
        /// This stands behind the body.
        case after(String)
    }

    private struct State {
        var faults: [(path: String, fault: Fault)] = []
        var calls: [Call] = []
    }
    /// Protects faults and what was asked for.
    private let state: Arc<State>
    private let peer: ScriptedPeer
    /// Where it listens.
    package var url: String { peer.url }

    /// Shared between the peer's threads and the test.
    final class Arc<Value: Sendable>: Sendable {
        let value: Mutex<Value>
        init(_ value: Value) { self.value = Mutex(value) }
    }

    package init(_ answer: @escaping @Sendable (Call) -> Reply) {
        let state = Arc(State())
        self.state = state
        peer = ScriptedPeer { connection in
            while let request = connection.request() {
                let call = Self.call(request)
                let fault = state.value.withLock { state -> Fault? in
                    state.calls.append(call)
                    guard let index = state.faults.firstIndex(where: { call.path.hasPrefix($0.path) }) else {
                        return nil
                    }
                    return state.faults.remove(at: index).fault
                }
                // A refusal does nothing of what was asked.
                let reply = if case .status(let status, let body) = fault { Reply(status, body) } else { answer(call) }
                guard Self.send(reply, fault, connection, isHead: call.method == "HEAD") else { return }
            }
        }
    }

    private static func call(_ request: PeerRequest) -> Call {
        let words = request.line.split(separator: " ")
        let target = words.count > 1 ? words[1] : "/"
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        return Call(
            method: String(words.first ?? ""), path: parts[0].removingPercentEncoding ?? String(parts[0]),
            query: parts.count > 1 ? String(parts[1]) : "", request: request)
    }

    /// Sends an answer in pieces; `false` when the connection is cut.
    private static func send(_ reply: Reply, _ fault: Fault?, _ connection: PeerConnection, isHead: Bool) -> Bool {
        var reply = reply
        var end: Int?
        switch fault {
        case nil, .status: break
        case .cut(let count): end = count
        case .before(let text): reply.body = text + reply.body
        case .after(let text): reply.body += text
        }
        let headers = reply.headers.map { $0 + "\r\n" }.joined()
        if isHead { return connection.send("HTTP/1.1 \(reply.status) X\r\n\(headers)Content-Length: 0\r\n\r\n") }
        connection.send("HTTP/1.1 \(reply.status) X\r\n\(headers)Transfer-Encoding: chunked\r\n\r\n")
        var rest = Array(reply.body.utf8)[...]
        if let end { rest = rest.prefix(end) }
        while !rest.isEmpty {
            let piece = rest.prefix(700)
            connection.send(String(piece.count, radix: 16) + "\r\n")
            connection.send(piece)
            connection.send("\r\n")
            rest = rest.dropFirst(piece.count)
        }
        if end != nil {
            connection.end()
            return false
        }
        return connection.send("0\r\n\r\n")
    }

    /// The next answers below a path go wrong, one after the other.
    package func fail(_ path: String, with faults: Fault...) {
        state.value.withLock { state in state.faults += faults.map { (path, $0) } }
    }

    /// What was asked for below a path.
    package func calls(_ path: String = "") -> [Call] {
        state.value.withLock { state in state.calls.filter { $0.path.hasPrefix(path) } }
    }
}
