import ArgumentParser
import CouchDB
import CouchDocument
import DesignDocuments
import Foundation

struct InitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Make the database if it is missing and push the views.",
        discussion: "Safe to run again: what is there already stays, and views that are up to date are not written.")

    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let settings = try options.settings()
        let server = try options.server()
        let database = try await server.createDatabaseIfMissing(settings.database)
        var pushed: [JSON] = []
        for design in DesignDocuments.all {
            let outcome = try await database.push(design).word
            pushed.append(["design": .string(design.name), "outcome": .string(outcome)])
            options.output.say("design document \"\(design.name)\": \(outcome)")
        }
        options.output.answer(
            ["database": .string(database.name), "designs": .array(pushed)],
            ["pool \"\(database.name)\" is ready at \(Redaction.url(settings.url))"])
    }
}
