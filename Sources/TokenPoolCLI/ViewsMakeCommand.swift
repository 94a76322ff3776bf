import ArgumentParser
import CouchDB
import CouchDocument
import DesignDocuments
import TokenPool

struct ViewsMakeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "make", abstract: "Make PiCaS' five views for some of the tokens, as create_views.py does.",
        discussion: """
            todo, locked, done, error and overview_total of the tokens for which --where holds. Without --where, \
            SingleCore means doc.cores == 1 and MultiCore doc.cores == 4, as in PiCaS.
            """)

    @Argument(help: "The design document's name, such as SingleCore.")
    var name: String
    @Option(name: .customLong("where"), help: "A JavaScript expression over doc, such as 'doc.cores == 8'.")
    var condition: String?
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        guard !DesignDocuments.all.contains(where: { $0.name == name }) else {
            throw CommandFailure(
                message: "\"\(name)\" is one of ours, which `tokenpool views push` writes: take another name",
                status: .usage)
        }
        let known = [PicasViews.singleCore, PicasViews.multiCore].first { $0.name == name }
        guard let design = condition.map({ PicasViews.design(name, where: $0) }) ?? known else {
            throw ValidationError("--where is missing: which tokens shall \(name) have?")
        }
        let outcome = try await options.poolDatabase().push(design)
        options.output.answer(
            ["design": .string(name), "outcome": .string(outcome.word)],
            ["\(Output.printable(name)): \(outcome.word); take from it with `tokenpool work --view \(name)/todo`"])
    }
}

struct ViewsProbeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "probe", abstract: "Whether a view has any row, for scripts that submit pilots.",
        discussion: "Ends with 0 when it has one, with 1 when it is empty or not there (which is said).")

    @Argument(help: "The view, such as Monitor/todo.")
    var view: ViewArgument
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let hasRows = try await options.pool().hasRows(in: view.name)
        options.output.answer(["rows": .bool(hasRows)], [hasRows ? "there is work" : "empty"])
        if !hasRows { throw ExitStatus.no }
    }
}
