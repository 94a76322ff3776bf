import ArgumentParser
import CouchDB
import CouchDocument
import DesignDocuments
import Foundation

struct ViewsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "views", abstract: "Design documents: ours, or those in a folder of yours.",
        subcommands: [
            ViewsPushCommand.self, ViewsDiffCommand.self, ViewsListCommand.self, ViewsMakeCommand.self,
            ViewsProbeCommand.self,
        ])
}

/// Ours, or those of a folder.
struct DesignFolderArgument: ParsableArguments {
    @Argument(
        help:
            "A folder of design documents, or one of them, in CouchDB's mapping (views/NAME/map.js …); without it ours.",
        completion: .directory)
    var folder: String?

    func designs() throws -> [DesignDocument] { try folder.map { try DesignFolder.readAll($0) } ?? DesignDocuments.all }
}

struct ViewsPushCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "push", abstract: "Write design documents that are missing or other into the database.",
        discussion: "What is up to date is not written, so that no index is built anew.")

    @OptionGroup var source: DesignFolderArgument
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let database = try options.poolDatabase()
        var rows: [[String]] = []
        for design in try source.designs() {
            rows.append([design.name, try await database.push(design).word, String(design.views.count)])
        }
        options.output.table(["design", "outcome", "views"], rows)
    }
}

struct ViewsDiffCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "What a push would change.",
        discussion: "Ends with 1 when there are differences.")

    @OptionGroup var source: DesignFolderArgument
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let database = try options.poolDatabase()
        var rows: [[String]] = []
        for design in try source.designs() {
            let stored = try await database.designDocument(design.name)
            let wanted = design.functions
            let present = stored?.functions ?? [:]
            for name in Set(wanted.keys).union(present.keys).sorted() where wanted[name] != present[name] {
                let change = present[name] == nil ? "missing" : wanted[name] == nil ? "only there" : "other"
                rows.append([design.name, name, change])
            }
        }
        options.output.table(["design", "function", "in the database"], rows)
        if !rows.isEmpty { throw ExitStatus.no }
    }
}

struct ViewsListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "The views of the database's design documents.")

    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let database = try options.poolDatabase()
        var query = ViewQuery(startKey: "_design/", endKey: "_design0")
        query.includeDocuments = true
        let ours = Dictionary(DesignDocuments.all.map { ($0.name, $0) }) { first, _ in first }
        var rows: [[String]] = []
        for document in try await database.allDocuments(query).rows.compactMap(\.document) {
            guard let design = DesignDocument(document) else { continue }
            for (name, view) in design.views.sorted(by: { $0.key < $1.key }) {
                let state = ours[design.name].map { $0.views[name] == view ? "ours" : "not ours" } ?? ""
                rows.append(["\(design.name)/\(name)", view.reduce.map { $0.isEmpty ? "" : "reduced" } ?? "", state])
            }
        }
        options.output.table(["view", "reduce", "version"], rows)
    }
}

extension DesignDocument {
    /// Every function and other text by its path, such as `views/todo/map`.
    fileprivate var functions: [String: String] {
        var result: [String: String] = [:]
        func add(_ value: JSON, _ path: String) {
            if case .object(let members) = value {
                for (name, member) in members { add(member, path + "/" + name) }
            } else {
                result[path] = value.stringValue ?? value.description
            }
        }
        for (name, value) in document.fields where !name.hasPrefix("_") { add(value, name) }
        return result
    }
}

extension PushOutcome {
    /// What was done, for people.
    var word: String {
        switch self {
        case .unchanged: "unchanged"
        case .created: "created"
        case .updated: "updated"
        }
    }
}
