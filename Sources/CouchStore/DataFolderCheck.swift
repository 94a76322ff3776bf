import GRDB

/// Looks through a data folder, or a copy of one, for damage. Changes nothing; a server may work in the folder meanwhile.
package struct DataFolderCheck: Sendable {
    /// What was found in one database.
    package struct Report: Sendable {
        /// The database's name.
        package let name: String
        /// Documents that are not deleted, and tombstones.
        package let documents: Int
        package let deleted: Int
        /// View indexes that were looked through.
        package let indexes: Int
        /// What is damaged, a line each.
        package let problems: [String]
    }

    private let folder: String

    /// - Throws: ``StoreError`` when there are no databases in that folder.
    package init(folder: String) throws {
        self.folder = folder
        guard fileSize(folder + "/store.json") > 0 else {
            throw StoreError(.notFound, "\(folder) is no data folder: it has no store.json")
        }
    }

    /// The databases, sorted.
    package func names() throws -> [String] { try DataFolderFiles(folder: folder).names() }

    /// Looks through one database, its attachments and its view indexes.
    ///
    /// - Parameter comparesRows: Each index of a view is built once more, in the folder for temporary files, and its rows
    ///   are compared; that takes the longest.
    package func check(_ name: String, comparesRows: Bool = true) -> Report {
        let files = DataFolderFiles(folder: folder)
        var documents = 0
        var deleted = 0
        var sequence = 0
        var problems: [String] = []
        do {
            try Self.reading(files.database(name)) { database in
                var check = DatabaseCheck(database, attachments: AttachmentStore(folder: files.attachments(name)))
                defer { (documents, deleted, problems) = (check.documents, check.deleted, check.problems) }
                try check.run()
                if check.problems.isEmpty { sequence = try DatabaseState(reading: database).sequence }
            }
        } catch {
            problems.append("\(StoreError.wrapping(error, attempt: "read \(files.database(name))"))")
        }
        guard problems.isEmpty else {
            return Report(name: name, documents: documents, deleted: deleted, indexes: 0, problems: problems)
        }
        var indexes = 0
        do {
            let paths = try files.views(name)
            let checks = comparesRows && !paths.isEmpty ? try Self.indexChecks(files.database(name)) : [:]
            for path in paths {
                indexes += 1
                let signature = path.split(separator: "/").last?.dropLast(3) ?? ""
                problems += Self.checkIndex(
                    path, files: files, name: name, atLeast: sequence, rows: checks[String(signature)])
            }
        } catch {
            problems.append("\(error)")
        }
        return Report(name: name, documents: documents, deleted: deleted, indexes: indexes, problems: problems)
    }

    /// How the rows of each index are looked at, by its signature. An index that no design document has any more is not
    /// among them.
    private static func indexChecks(_ path: String) throws -> [String: ViewIndexCheck] {
        let database = try openReader(path)
        let (designs, isPartitioned) = try database.read { database in
            let rows = DocumentRows(database: database)
            return (try rows.designDocuments(), try DatabaseSettings(reading: database).isPartitioned)
        }
        var checks: [String: ViewIndexCheck] = [:]
        for design in designs {
            let definitions = ViewDefinitions(design, inPartitioned: isPartitioned)
            let others = checks[definitions.signature]?.designs ?? []
            checks[definitions.signature] = ViewIndexCheck(
                designs: others + [design], definitions: definitions, database: database)
        }
        return checks
    }

    private static func checkIndex(
        _ path: String, files: DataFolderFiles, name: String, atLeast sequence: Int, rows: ViewIndexCheck?
    ) -> [String] {
        do {
            var lines: [String] = []
            var reached = 0
            try reading(path) { database in
                lines = try String.fetchAll(database, sql: "PRAGMA integrity_check(5)").filter { $0 != "ok" }
                guard lines.isEmpty else { return }
                reached = try Int.fetchOne(database, sql: "SELECT sequence FROM header") ?? 0
                if let rows, reached > 0 { lines += try rows.problems(database) }
            }
            if reached > sequence {
                // The server may have gone on since the database was read.
                try reading(files.database(name)) { database in
                    let now = try DatabaseState(reading: database).sequence
                    if reached > now { lines.append("is at change \(reached), its database at \(now)") }
                }
            }
            return lines.map { "view index \(path): \($0): remove it, it is built again" }
        } catch {
            let reason = (error as? DatabaseError)?.message ?? "\(error)"
            return ["view index \(path): \(reason): remove it, it is built again"]
        }
    }

    private static func reading(_ path: String, _ body: (Database) throws -> Void) throws {
        let queue = try openReader(path)
        try queue.read(body)
        try queue.close()
    }

    private static func openReader(_ path: String) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(10)
        return try DatabaseQueue(path: path, configuration: configuration)
    }
}

/// Where the files of a data folder are.
struct DataFolderFiles {
    let folder: String

    /// The names of its databases, sorted bytewise.
    func names() throws -> [String] {
        try namesInFolder(folder + "/databases").compactMap { file in
            file.hasSuffix(".db") ? DatabaseName.name(fileName: file.dropLast(3)) : nil
        }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    func database(_ name: String) -> String { "\(folder)/databases/\(DatabaseName.fileName(name)).db" }

    func attachments(_ name: String) -> String { "\(folder)/attachments/\(DatabaseName.fileName(name))" }

    func viewsFolder(_ name: String) -> String { "\(folder)/views/\(DatabaseName.fileName(name))" }

    /// The view indexes of a database.
    func views(_ name: String) throws -> [String] {
        try namesInFolder(viewsFolder(name)).filter { $0.hasSuffix(".db") }.sorted()
            .map { "\(viewsFolder(name))/\($0)" }
    }
}
