import CouchDocument
import CouchStore

/// `/{db}/_security`.
struct SecurityRoutes: Sendable {
    let here: DatabaseCall

    func answer() async throws -> Answer {
        switch here.call.method {
        case "GET", "HEAD": return .json(200, here.security.json)
        case "PUT":
            if here.isUsers && !here.service.settings.limits.isUsersSecurityEditable {
                throw Refusal.forbidden("You can't edit the security object of the user database.")
            }
            if !here.isDatabaseAdmin {
                let reason = "You are not a db or server admin."
                throw here.account.name == nil ? Refusal.unauthorized(reason) : Refusal.forbidden(reason)
            }
            let json = try await here.call.json()
            if let fault = SecurityObject.fault(of: json) { throw Refusal.badRequest(fault) }
            try await here.database.setSecurity(json.objectValue ?? [:])
            return .ok
        default: throw Refusal.methodNotAllowed("PUT,GET")
        }
    }
}
