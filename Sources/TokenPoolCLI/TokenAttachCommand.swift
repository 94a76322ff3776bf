import ArgumentParser
import CouchDB
import CouchDocument
import Foundation
import Sandboxes
import TokenPool

struct TokenAttachCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "attach", abstract: "Attach a file to a token.")

    @OptionGroup var options: GlobalOptions
    @Argument(help: "The token's id.")
    var id: String
    @Argument(help: "The file.", completion: .file())
    var file: String
    @Option(help: "The attachment's name (default: the file's).")
    var name: String?

    func run() async throws {
        let pool = try options.pool()
        let name = name ?? URL(filePath: file).lastPathComponent
        guard FileManager.default.isReadableFile(atPath: file) else {
            throw CommandFailure(message: "attaching \(file): it can not be read")
        }
        for _ in 0..<10 {
            let token = try await pool.token(id)
            do {
                let revision = try await pool.database.putAttachment(
                    name, to: id, revision: token.revision, contentType: ContentType.ofFile(named: name),
                    body: .file(path: file))
                options.output.answer(
                    ["id": .string(id), "attachment": .string(name), "rev": .string(revision.description)],
                    ["attached \(Output.printable(name)) to \(Output.printable(id))"])
                return
            } catch CouchDBError.conflict {
                continue
            }
        }
        throw CommandFailure(message: "attaching \(name) to token \"\(id)\": others changed it each time; try again")
    }
}

struct TokenGetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Download an attachment of a token, to a file or - for stdout.")

    @OptionGroup var options: GlobalOptions
    @Argument(help: "The token's id.")
    var id: String
    @Argument(help: "The attachment's name; `token show` lists them.")
    var name: String
    @Option(name: [.short, .long], help: "Where to write it (default: a file of its name here).", completion: .file())
    var output: String?

    func run() async throws {
        let database = try options.poolDatabase()
        let target = output ?? URL(filePath: name).lastPathComponent
        if target == "-" {
            try await print(name, of: id, in: database)
        } else {
            try await database.downloadAttachment(name, of: id, to: target)
            options.output.answer(["file": .string(target)], ["wrote \(Output.printable(target))"])
        }
    }
}

struct TokenLogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log",
        abstract: "Print the log of a token's last try.",
        discussion: "Its standard output goes to standard output, its standard error to standard error.")

    @OptionGroup var options: GlobalOptions
    @Argument(help: "The token's id.")
    var id: String
    @Flag(help: "Only its standard error, to standard output.")
    var err = false

    func run() async throws {
        let pool = try options.pool()
        let token = try await pool.token(id)
        let streams: [(name: String, to: FileHandle)] =
            err
            ? [(token.logName("err"), .standardOutput)]
            : [(token.logName("out"), .standardOutput), (token.logName("err"), .standardError)]
        let logs = streams.filter { token.document.attachment($0.name) != nil }
        guard !logs.isEmpty else {
            let names = streams.map(\.name).joined(separator: " or ")
            throw CommandFailure(
                message:
                    "token \"\(id)\" has no \(names): it is \(token.state.rawValue) and was tried \(token.pool.attempts) times"
            )
        }
        for log in logs { try await print(log.name, of: id, in: pool.database, to: log.to) }
    }
}

/// Copies an attachment to a stream of ours as it comes.
private func print(
    _ name: String, of id: String, in database: Database, to handle: FileHandle = .standardOutput
) async throws {
    for try await chunk in try await database.attachment(name, of: id).body {
        handle.write(Data(chunk))
    }
}
