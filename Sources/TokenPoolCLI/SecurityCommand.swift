import ArgumentParser
import CouchDB
import CouchDocument

struct SecurityCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "security", abstract: "Who may use the pool's database: show, allow, deny.",
        subcommands: [SecurityShowCommand.self, SecurityAllowCommand.self, SecurityDenyCommand.self])
}

struct SecurityShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "The members and admins of the database.")

    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let security = try await options.poolDatabase().security()
        var rows: [[String]] = []
        for (kind, group) in [("admin", security.admins), ("member", security.members)] {
            rows += group.names.map { [kind, "user", $0] } + group.roles.map { [kind, "role", $0] }
        }
        if options.output.style == .json {
            options.output.line(JSON.object(security.fields).description)
        } else {
            options.output.table(["as", "kind", "name"], rows)
            if security.members == Security.Group() {
                options.output.say("there are no members: everybody who reaches the server may read and write")
            }
        }
    }
}

/// Whom a change is about.
struct SecuritySubject: ParsableArguments {
    @Argument(help: "Names of users.")
    var names: [String] = []
    @Option(parsing: .singleValue, help: "A role; repeat for more.")
    var role: [String] = []
    @Flag(help: "As admins of the database, who also write design documents, instead of members.")
    var admin = false

    func validate() throws {
        guard !names.isEmpty || !role.isEmpty else { throw ValidationError("name a user, or a --role") }
    }
}

struct SecurityAllowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "allow", abstract: "Let users or roles use the database. For its admins.")

    @OptionGroup var subject: SecuritySubject
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let isChanged = try await options.poolDatabase().allow(
            names: subject.names, roles: subject.role, asAdmins: subject.admin)
        options.output.answer(["changed": .bool(isChanged)], [isChanged ? "allowed" : "allowed already"])
    }
}

struct SecurityDenyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deny", abstract: "Take that back. For the database's admins.",
        discussion: "When nobody is left, server admins are: CouchDB opens a database without members to everybody.")

    @OptionGroup var subject: SecuritySubject
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let isChanged = try await options.poolDatabase().deny(
            names: subject.names, roles: subject.role, asAdmins: subject.admin)
        options.output.answer(["changed": .bool(isChanged)], [isChanged ? "taken back" : "nobody of that name"])
    }
}
