import ArgumentParser
import CouchDB
import CouchDocument
import DesignDocuments
import Foundation
import TokenPool

struct CatalogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "catalog", abstract: "What the dispatcher knows: users, storage elements, replicas, proximity.",
        subcommands: [CatalogLoadCommand.self])
}

struct CatalogLoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load", abstract: "Add users, storage elements, replicas and a proximity map from a JSON file.",
        discussion: """
            The file is an object with any of: users (username, password, roles, admin), rses (name, description, \
            is_enabled, is_available, is_tape, preference …), replicas (namespace, name, rse, url, urls, available) and \
            proximity_map_cpu_rse_value (lists of site, RSE, number). What is there already is changed, nothing goes; \
            the proximity map is replaced. The database is made when it is missing. For server admins.
            """)

    @Argument(help: "The file; - is standard input.", completion: .file(extensions: ["json"]))
    var file: String
    @Flag(help: "Also keep what digest sign-in needs; it is easier to guess than what is kept anyway.")
    var digest = false
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let data: Data
        do {
            data =
                file == "-" ? FileHandle.standardInput.readDataToEndOfFile() : try Data(contentsOf: URL(filePath: file))
        } catch {
            throw CommandFailure(message: "can not read \(file): \(error.localizedDescription)", status: .usage)
        }
        let catalog: Catalog
        do { catalog = try Catalog(try JSON(parsing: data)) } catch let error as JSONError {
            throw CommandFailure(message: "\(file) is no JSON: \(error)", status: .usage)
        } catch let error as PoolError {
            throw CommandFailure(message: "\(file): \(error.reason)", status: .usage)
        }
        let settings = try options.settings()
        let database = try await options.server().createDatabaseIfMissing(settings.database)
        for design in DesignDocuments.all { try await database.push(design) }
        let report = try await Projects(Pool(database: database, logger: options.logger))
            .load(catalog, withDigest: digest)
        options.output.answer(
            report.json,
            [
                """
                \(report.users) users, \(report.rses) storage elements, \(report.replicas) replicas \
                (\(report.files) files have others than before)
                """
            ])
    }
}
