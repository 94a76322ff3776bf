import CouchDB
import CouchDocument
import Logging
import TokenPool

/// Data Dispatcher's HTTP interface over the projects of a pool.
///
/// Rules that its clients need: JSON under `text/json`, only 200 is success, state changes also by GET.
final class Dispatcher: Sendable {
    let desk: FileDesk
    let members: Members
    let users: UserDirectory
    let isPrivate: Bool
    let signInSettings: SignInSettings
    let directoryChecks: PasswordChecks
    let challenge = DigestChallenge()
    /// Sign-ins by the client's address.
    let signIns: RequestRate
    /// Requests by the user's name.
    private let requests: RequestRate
    var projects: Projects { desk.projects }

    init(
        pool: Pool, users: UserDirectory, settings: PoolGateway.Settings, note: @escaping @Sendable (Timestamp) -> Void
    ) {
        desk = FileDesk(Projects(pool), note: note)
        members = Members(pool: pool, users: users, secret: settings.secret, lifetime: settings.signIn.tokenLifetime)
        self.users = users
        isPrivate = settings.isPrivate
        signInSettings = settings.signIn
        directoryChecks = PasswordChecks(users.guesses)
        signIns = RequestRate(perSecond: settings.signIn.signInsPerClient)
        requests = RequestRate(perSecond: settings.signIn.requestsPerUser)
    }

    /// Pages that take no time to speak of.
    static let shortPages: Set<String> = ["version", "probe", "next_file", "release", "renew", "get_rse"]

    /// Answers a request below `/dd/data/`.
    func data(_ call: GatewayCall, _ page: String) async throws -> GatewayAnswer {
        switch page {
        case "version": return .text(200, "tokenpool-\(ProductVersion.text)")
        case "probe": return .text(200, "OK")
        case "create_project": return try await createProject(call)
        case "copy_project": return try await copyProject(call)
        case "restart_handles": return try await restartHandles(call)
        case "activate_project": return try await changeProject(call) { try await $0.activate($1, by: $2) }
        case "cancel_project": return try await changeProject(call) { try await $0.cancel($1, by: $2) }
        case "delete_project": return try await deleteProject(call)
        case "project": return try await showProject(call)
        case "projects": return try await listProjects(call)
        case "search_projects": return try await searchProjects(call)
        case "handles": return try await listHandles(call)
        case "file_handle": return try await showFile(call)
        case "handle_state_counts": return try await stateCounts(call)
        case "project_log": return try await projectLog(call)
        case "file_log": return try await fileLog(call)
        case "event_counts": return try await eventCounts(call)
        case "next_file": return try await nextFile(call)
        case "release": return try await release(call)
        case "renew": return try await renew(call)
        case "rses": return try await listRSEs(call)
        case "get_rse": return try await showRSE(call)
        case "set_rse_availability": return try await setAvailability(call)
        case "create_rse": return try await createRSE(call)
        case "update_rse": return try await updateRSE(call)
        case "delete_rse": return try await deleteRSE(call)
        default: throw GatewayRefusal(404, "there is no such page")
        }
    }

    /// Who sends a request.
    ///
    /// - Throws: 401 when nobody says, 503 for too many requests of the same user.
    func member(_ call: GatewayCall) async throws -> Members.Member {
        guard let member = try await members.member(of: call.headers) else {
            throw GatewayRefusal(401, "Token not found")
        }
        try requests.admit(member.name, now: projects.pool.clock.now())
        return member
    }

    /// Refuses strangers where the pool does not show itself to everybody.
    func requireReader(_ call: GatewayCall) async throws {
        if isPrivate { _ = try await member(call) }
    }

    /// A project number in a query.
    static func number(_ text: String) throws(GatewayRefusal) -> Int {
        guard let number = Int(text), number > 0 else { throw .badRequest("\"\(text)\" is no project id") }
        return number
    }

    static let noProject = GatewayRefusal(404, "Project not found")
}
