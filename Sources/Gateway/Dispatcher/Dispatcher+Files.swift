import CouchDocument
import TokenPool

// Files: reserved and given back.
extension Dispatcher {
    func nextFile(_ call: GatewayCall) async throws -> GatewayAnswer {
        let member = try await member(call)
        let query = try RawQuery(call.query, ["project_id", "worker_id", "cpu_site", "wait"])
        let number = try Self.number(try query.required("project_id"))
        let site = query["cpu_site"].flatMap { $0.isEmpty ? nil : $0 } ?? ProximityMap.anywhere
        let request = FileDesk.Request(worker: try query.required("worker_id"), site: site) { member.worksOn($0) }
        // Ours alone: Data Dispatcher's clients sleep and ask again.
        let wait = try Self.wait(query["wait"])
        let answer = try await call.whileConnected(if: wait > .zero) { [desk] in
            try await desk.reserve(number, request, waiting: wait)
        }
        switch answer {
        case .reserved(let reservation): return .json(Self.json(reservation))
        case .nothing: return .json(["handle": nil, "reason": "retry", "retry": true])
        case .over: return .json(["handle": nil, "reason": "project inactive", "retry": false])
        case .refused: throw GatewayRefusal(403, "Not authorized")
        case .missing: throw Self.noProject
        }
    }

    /// Reads `project:namespace:name`.
    static func handle(_ id: String) throws(GatewayRefusal) -> (project: Int, did: DID) {
        let parts = id.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let did = DID(String(parts[1])) else {
            throw GatewayRefusal.badRequest("handle_id is project:namespace:name")
        }
        return (try number(String(parts[0])), did)
    }

    /// Seconds to wait for a file, 300 at most; not said, none.
    private static func wait(_ text: String?) throws(GatewayRefusal) -> Duration {
        guard let text, !text.isEmpty else { return .zero }
        guard let seconds = Double(text), seconds >= 0, seconds < 1e9 else {
            throw .badRequest("wait is a number of seconds, not \"\(text)\"")
        }
        return .milliseconds(Int(min(seconds, 300) * 1000))
    }

    /// Ours alone: a worker says that it lives, and has its files for the project's time-out from now on.
    func renew(_ call: GatewayCall) async throws -> GatewayAnswer {
        try call.allow("POST")
        let member = try await member(call)
        let query = try RawQuery(call.query, ["project_id", "worker_id"])
        let number = try Self.number(try query.required("project_id"))
        let worker = try query.required("worker_id")
        switch try await desk.renew(number, worker: worker, isAllowed: { member.worksOn($0) }) {
        case .renewed(let renewal):
            return .json([
                "renewed": .integer(renewal.files.count),
                "files": .array(renewal.files.map { .string("\($0.namespace):\($0.name)") }),
                "state": .string(renewal.project.state.rawValue),
            ])
        case .refused: throw GatewayRefusal(403, "Not authorized")
        case .missing: throw Self.noProject
        }
    }

    private static func json(_ reservation: FileDesk.Reservation) -> JSON {
        var handle = reservation.file.json
        var replicas: JSONObject = [:]
        if let did = reservation.file.did {
            for (replica, proximity) in reservation.replicas {
                replicas[replica.rse] = replica.json(of: did, isUp: true, proximity: .some(proximity))
            }
        }
        handle["replicas"] = .object(replicas)
        handle["project_attributes"] = .object(reservation.project.attributes)
        return ["handle": .object(handle), "reason": "reserved", "retry": false]
    }

    func release(_ call: GatewayCall) async throws -> GatewayAnswer {
        let member = try await member(call)
        // What follows the name was chosen by no person, so a name with an ampersand ends where that begins.
        let query = try RawQuery(
            call.query, ["handle_id", "failed", "retry", "worker_id"], endingWith: "failed")
        let (number, did) = try Self.handle(query.required("handle_id"))
        let result: FileResult
        if try query.flag("failed", default: false) {
            result = try query.flag("retry", default: true) ? .retry : .failed
        } else {
            result = .done
        }
        let worker = query["worker_id"].flatMap { $0.isEmpty ? nil : $0 }
        switch try await desk.release(did, of: number, as: result, worker: worker, isAllowed: { member.worksOn($0) }) {
        case .released(let file): return .json(.object(file.json))
        case .notReserved: throw GatewayRefusal(404, "Handle not found or was not reserved")
        case .wrongWorker: throw GatewayRefusal(403, "Not authorized: wrong worker_id")
        case .refused: throw GatewayRefusal(403, "Not authorized")
        case .missing: throw Self.noProject
        }
    }
}
