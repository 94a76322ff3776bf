import CouchDocument
import HTTPTypes
import NIOCore

/// `/_session`: signing in by cookie.
struct SessionRoutes: Sendable {
    let service: CouchService
    let call: Call

    func answer() async throws -> Answer {
        switch call.method {
        case "GET", "HEAD": return try show()
        case "POST": return try await signIn()
        case "DELETE": return Answer.ok.with(.setCookie, SessionCookie.emptyHeader)
        default: throw Refusal.methodNotAllowed("GET,HEAD,POST,DELETE")
        }
    }

    private func show() throws -> Answer {
        if call.account.name == nil && call.query.flag("basic") { throw Refusal.unauthorized("Please login.") }
        var info: JSONObject = ["authentication_handlers": ["cookie", "default"]]
        if let handler = call.account.handler { info["authenticated"] = .string(handler) }
        return .json(200, ["ok": true, "userCtx": call.account.context(), "info": .object(info)])
    }

    private func signIn() async throws -> Answer {
        let (name, password) = try await credentials()
        let account: Account
        do {
            account = try await service.signIn.check(
                name: name, password: password, peer: call.peer, now: service.clock())
        } catch var refusal as Refusal {
            refusal.headers.append(("Set-Cookie", SessionCookie.emptyHeader))
            throw refusal
        }
        let members: JSONObject = [
            "ok": true, "name": .string(name), "roles": .array(account.roles.map(JSON.string)),
        ]
        let next = call.query["next"].flatMap { $0.hasPrefix("/") ? $0 : nil }
        var answer = Answer.json(next == nil ? 200 : 302, .object(members))
        if let next { answer.headers[.location] = call.base + next }
        answer.headers[.setCookie] = try await service.signIn.sessionHeader(for: name, now: service.clock())
        return answer
    }

    private func credentials() async throws -> (name: String, password: String) {
        let type = call.headers[.contentType]?.split(separator: ";").first.map { $0.filter { $0 != " " }.lowercased() }
        let name: String?
        let password: String?
        switch type {
        case "application/x-www-form-urlencoded":
            let text = String(buffer: try await call.body())
            let form = try Query(Substring(text))
            name = form["name"] ?? form["username"]
            password = form["password"]
        case "application/json":
            let body = try await call.json()
            guard body.objectValue != nil else { throw Refusal.notAnObject }
            name = body["name"]?.stringValue ?? body["username"]?.stringValue
            password = body["password"]?.stringValue
        default:
            throw Refusal(
                415, "bad_content_type",
                "Content-Type must be 'application/x-www-form-urlencoded' or 'application/json'")
        }
        guard let name else { throw Refusal.badRequest("request body must contain a username") }
        return (name, password ?? "")
    }
}
