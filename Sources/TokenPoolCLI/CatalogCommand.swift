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
        commandName: "load",
        abstract: "Add users, storage elements, replicas and a proximity map from a JSON or CSV file.",
        discussion: """
            A JSON file is an object with any of: users (username, password, roles, admin), rses (name, description, \
            is_enabled, is_available, is_tape, preference …), replicas (namespace, name, rse, url, urls, available) and \
            proximity_map_cpu_rse_value (lists of site, RSE, number). A CSV file is one table whose first line names the \
            columns: replicas (namespace and name, or did; rse, url; urls, path, preference, available), storage \
            elements (name; the members as in JSON) or the proximity map (site, rse, proximity). What is there already is \
            changed, nothing goes; the proximity map is replaced. Nothing is written when anything in the file is wrong. \
            The database is made when it is missing. For server admins.
            """)

    @Argument(help: "The file; - is standard input.", completion: .file(extensions: ["json", "csv"]))
    var file: String
    @Flag(help: "Also keep what digest sign-in needs; it is easier to guess than what is kept anyway.")
    var digest = false
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let copy = file == "-" ? try Self.copyOfInput() : nil
        defer { if let copy { try? FileManager.default.removeItem(at: copy) } }
        let path = copy?.path(percentEncoded: false) ?? file
        let name = file == "-" ? "standard input" : file
        let report: CatalogReport
        if try Self.isJSON(path, name) {
            let catalog = try Self.catalog(path, name)
            report = try await projects().load(catalog, withDigest: digest)
        } else {
            do {
                let table = try CatalogTable(path: path, name: name)
                try table.check()
                report = try await projects().load(checked: table)
            } catch let error as ConfigurationError {
                throw CommandFailure(message: error.description, status: .usage)
            }
        }
        options.output.answer(
            report.json,
            [
                """
                \(report.users) users, \(report.rses) storage elements, \(report.replicas) replicas \
                (\(report.files) files have others than before)
                """
            ])
    }

    /// The pool's projects; its database and views are made where they are missing.
    private func projects() async throws -> Projects {
        let settings = try options.settings()
        let database = try await options.server().createDatabaseIfMissing(settings.database)
        for design in DesignDocuments.all { try await database.push(design) }
        return Projects(Pool(database: database, logger: options.logger))
    }

    /// Whether the first sign is the brace of an object: no CSV has one there.
    private static func isJSON(_ path: String, _ name: String) throws -> Bool {
        do {
            let handle = try FileHandle(forReadingFrom: URL(filePath: path))
            defer { try? handle.close() }
            while let piece = try handle.read(upToCount: 4096), !piece.isEmpty {
                guard let first = piece.first(where: { ![0x20, 0x09, 0x0A, 0x0D, 0xEF, 0xBB, 0xBF].contains($0) })
                else {
                    continue
                }
                return first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
            }
            throw CommandFailure(message: "\(name) is empty", status: .usage)
        } catch let error as CommandFailure { throw error } catch {
            throw CommandFailure(message: "can not read \(name): \(error.localizedDescription)", status: .usage)
        }
    }

    private static func catalog(_ path: String, _ name: String) throws -> Catalog {
        do {
            return try Catalog(try JSON(parsing: try Data(contentsOf: URL(filePath: path))))
        } catch let error as JSONError {
            throw CommandFailure(message: "\(name) is no JSON: \(error)", status: .usage)
        } catch let error as PoolError {
            throw CommandFailure(message: "\(name): \(error.reason)", status: .usage)
        } catch {
            throw CommandFailure(message: "can not read \(name): \(error.localizedDescription)", status: .usage)
        }
    }

    /// Standard input in a file: it is read twice, and may be large.
    private static func copyOfInput() throws -> URL {
        let copy = FileManager.default.temporaryDirectory.appending(path: "tokenpool-catalog-\(UUID().uuidString)")
        do {
            // It may hold passwords.
            guard
                FileManager.default.createFile(
                    atPath: copy.path(percentEncoded: false), contents: nil, attributes: [.posixPermissions: 0o600])
            else { throw CocoaError(.fileWriteUnknown) }
            let handle = try FileHandle(forWritingTo: copy)
            while let piece = try FileHandle.standardInput.read(upToCount: 1 << 20), !piece.isEmpty {
                try handle.write(contentsOf: piece)
            }
            try handle.close()
        } catch {
            try? FileManager.default.removeItem(at: copy)
            throw CommandFailure(message: "can not keep standard input: \(error.localizedDescription)", status: .usage)
        }
        return copy
    }
}
