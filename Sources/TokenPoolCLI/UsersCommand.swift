import ArgumentParser
import CouchDB
import CouchDocument
import Foundation

struct UsersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "users", abstract: "The server's users: list, add, passwd, delete.",
        discussion: """
            Passwords are asked for at the terminal or read from the first line of stdin, never taken from the command \
            line. Who may use which database is the matter of `tokenpool security`.
            """,
        subcommands: [
            UsersListCommand.self, UsersAddCommand.self, UsersPasswordCommand.self, UsersDeleteCommand.self,
        ])
}

struct UsersListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "The users and their roles. For server admins.")

    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let users = try await options.server().users()
        options.output.table(
            ["user", "roles"], users.map { [$0.name, $0.roles.joined(separator: " ")] },
            json: users.map { ["user": .string($0.name), "roles": .array($0.roles.map(JSON.string))] })
    }
}

struct UsersAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Make a user, or give one other roles. For server admins.",
        discussion: "A user that is there keeps its password unless --password is given.")

    @Argument(help: "The user's name.")
    var name: String
    @Option(parsing: .singleValue, help: "A role; repeat for more (default: those the user has).")
    var role: [String] = []
    @Flag(help: "Ask for a new password also when the user is there.")
    var password = false
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let server = try options.server()
        let present: Document?
        do { present = try await server.user(name) } catch CouchDBError.notFound { present = nil }
        var secret: String?
        if present == nil || password {
            secret = try SecretFile.askTwice("password for the user \(Output.printable(name)): ")
        }
        _ = try await server.createDatabaseIfMissing("_users")
        let roles = role.isEmpty ? present?["roles"]?.arrayValue?.compactMap(\.stringValue) ?? [] : role
        try await server.saveUser(name: name, password: secret, roles: roles)
        options.output.answer(
            ["user": .string(name), "created": .bool(present == nil), "roles": .array(roles.map(JSON.string))],
            ["user \(Output.printable(name)) is \(present == nil ? "made" : "changed")"])
    }
}

struct UsersPasswordCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "passwd", abstract: "Change a password: your own, or as a server admin anybody's.",
        discussion: """
            Roles and everything else of the user stay. When the password in force came from `tokenpool login`, the file \
            is brought up to date. Files of other programs (PiCaS' conf.yml, .picasrc) are not touched.
            """)

    @Argument(help: "The user's name (default: you).")
    var name: String?
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let settings = try options.settings()
        let server = try Server(settings.serverConfiguration(logger: options.logger))
        let own = try await server.session().name
        guard let user = name ?? own else {
            throw CommandFailure(message: "nobody is signed in: name the user, or sign in with `tokenpool login`")
        }
        let secret = try SecretFile.askTwice("new password for \(Output.printable(user)): ")
        do {
            try await server.changePassword(of: user, to: secret)
        } catch CouchDBError.notFound {
            throw CommandFailure(
                message: "\"\(user)\" is no user in _users (server admins are not): nothing was changed")
        }
        options.output.answer(
            ["user": .string(user), "changed": true], ["the password of \(Output.printable(user)) is changed"])
        guard user == own else { return }
        if let file = settings.passwordFile, file == Settings.loginPasswordPath() {
            try SecretFile.write(secret + "\n", to: file)
        } else if let source = settings.passwordSource {
            options.output.say("the old password still stands in \(source): change it there")
        }
    }
}

struct UsersDeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Remove a user. For server admins.")

    @Argument(help: "The user's name.")
    var name: String
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        do {
            try await options.server().deleteUser(name)
        } catch CouchDBError.notFound {
            throw CommandFailure(message: "there is no user \"\(name)\"")
        }
        options.output.answer(["user": .string(name)], ["user \(Output.printable(name)) is removed"])
    }
}
