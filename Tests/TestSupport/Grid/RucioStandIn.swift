import Foundation
import Synchronization

/// Stands in for Rucio: signs in `ddisp` with the password `pw`, tells storage elements and replicas.
package final class RucioStandIn: Sendable {
    private struct State {
        var tokens: Set<String> = []
        var count = 0
        var life = 3600.0
        var rses: [(name: String, isTape: Bool)] = []
        var replicas: [String: [String: [String]]] = [:]
        var refusesUnknown = false
    }
    // Protects what it knows.
    private let state: GridStandIn.Arc<State>
    private let standIn: GridStandIn

    package init() {
        let state = GridStandIn.Arc(State())
        self.state = state
        standIn = GridStandIn { call in Self.answer(call, state) }
    }

    package var url: String { standIn.url }
    package func calls(_ path: String = "") -> [GridStandIn.Call] { standIn.calls(path) }
    package func fail(_ path: String, with faults: GridStandIn.Fault...) {
        for fault in faults { standIn.fail(path, with: fault) }
    }

    /// Tokens count so many seconds from now on.
    package func setLife(_ seconds: Double) { state.value.withLock { $0.life = seconds } }
    /// No token that was given out counts any more.
    package func forgetTokens() { state.value.withLock { $0.tokens = [] } }
    /// Refuses a request altogether when one of its files is unknown.
    package func refuseUnknown() { state.value.withLock { $0.refusesUnknown = true } }
    package func add(rse: String, isTape: Bool = false) { state.value.withLock { $0.rses.append((rse, isTape)) } }
    /// Sets the replicas of a file, `namespace:name`; `nil`: it is unknown.
    package func set(_ did: String, _ replicas: [String: [String]]?) {
        state.value.withLock { $0.replicas[did] = replicas }
    }

    private static func answer(_ call: GridStandIn.Call, _ state: GridStandIn.Arc<State>) -> GridStandIn.Reply {
        if call.path.hasPrefix("/auth/") { return signIn(call, state) }
        guard let token = call.request.header("X-Rucio-Auth-Token"), state.value.withLock({ $0.tokens.contains(token) })
        else {
            return error(401, "CannotAuthenticate", "Cannot authenticate with given credentials")
        }
        switch (call.method, call.path) {
        case ("GET", "/rses/"):
            let rses = state.value.withLock { $0.rses }
            return stream(
                rses.map { rse -> [String: Any] in
                    ["id": "x", "rse": rse.name, "rse_type": rse.isTape ? "TAPE" : "DISK", "deleted": false]
                })
        case ("POST", "/replicas/list"): return list(call, state)
        default: return error(404, "NotFound", "no such page")
        }
    }

    private static func signIn(_ call: GridStandIn.Call, _ state: GridStandIn.Arc<State>) -> GridStandIn.Reply {
        let request = call.request
        guard request.header("Accept")?.contains("octet-stream") == true else {
            return error(406, "Unsupported", "accept")
        }
        let isRight =
            call.path == "/auth/x509"
            || request.header("X-Rucio-Username") == "ddisp" && request.header("X-Rucio-Password") == "pw"
        guard isRight, request.header("X-Rucio-Account") != nil else {
            return error(401, "CannotAuthenticate", "Cannot authenticate to account with given credentials")
        }
        let (token, life) = state.value.withLock { state in
            state.count += 1
            let token = "token-\(state.count)"
            state.tokens.insert(token)
            return (token, state.life)
        }
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "UTC")
        format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'UTC'"
        return GridStandIn.Reply(
            200, "",
            headers: [
                "X-Rucio-Auth-Token: \(token)",
                "X-Rucio-Auth-Token-Expires: \(format.string(from: Date(timeIntervalSinceNow: life)))",
                "Content-Type: application/octet-stream",
            ])
    }

    private static func list(_ call: GridStandIn.Call, _ state: GridStandIn.Arc<State>) -> GridStandIn.Reply {
        guard let dids = call.json["dids"] as? [[String: String]] else { return error(400, "ValueError", "no dids") }
        let schemes = call.json["schemes"] as? [String] ?? []
        let known = state.value.withLock { $0 }
        var rows: [[String: Any]] = []
        for did in dids {
            let (scope, name) = (did["scope"] ?? "", did["name"] ?? "")
            guard let places = known.replicas["\(scope):\(name)"] else {
                if known.refusesUnknown { return error(404, "DataIdentifierNotFound", "Data identifier not found") }
                continue
            }
            let left = places.mapValues { urls in
                urls.filter { url in schemes.isEmpty || schemes.contains { url.hasPrefix($0 + "://") } }
            }
            let row: [String: Any] = [
                "scope": scope, "name": name, "bytes": 7, "adler32": "1", "rses": left,
                "states": left.mapValues { _ in "AVAILABLE" },
            ]
            rows.append(row)
        }
        return stream(rows)
    }

    private static func stream(_ rows: [[String: Any]]) -> GridStandIn.Reply {
        let lines = rows.map { row in
            let data =
                (try? JSONSerialization.data(withJSONObject: row, options: [.withoutEscapingSlashes, .sortedKeys]))
                ?? Data()
            return String(decoding: data, as: UTF8.self) + "\n"
        }
        return GridStandIn.Reply(200, lines.joined(), headers: ["Content-Type: application/x-json-stream"])
    }

    private static func error(_ status: Int, _ name: String, _ message: String) -> GridStandIn.Reply {
        GridStandIn.Reply(
            status, "{\"ExceptionClass\": \"\(name)\", \"ExceptionMessage\": \"\(message)\"}",
            headers: [
                "ExceptionClass: \(name)", "ExceptionMessage: \(message)", "Content-Type: application/octet-stream",
            ])
    }
}
