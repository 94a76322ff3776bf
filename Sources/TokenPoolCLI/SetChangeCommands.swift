import ArgumentParser
import CouchDocument
import Foundation
import Sandboxes
import TokenPool

struct SetResetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reset", abstract: "Put tokens of a set back to todo.",
        discussion: "Without --state those in error. Attached files stay unless --remove-attachments is given.")

    @OptionGroup var set: SetName

    @Option(parsing: .singleValue, help: "Tokens in this state: error, done or locked; can be repeated.")
    var state: [TokenState] = []

    @Option(help: "Only tokens that were locked at least so long ago, such as 12h.")
    var olderThan: DurationArgument?

    @Flag(help: "Remove what is attached, but for the files named with --keep.")
    var removeAttachments = false

    @Option(parsing: .singleValue, help: "A file to keep with --remove-attachments; can be repeated.")
    var keep: [String] = []

    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let display = SetProgressDisplay(options.output)
        defer { display.end() }
        let count = try await options.tokenSets().reset(
            set.name, states: state.isEmpty ? [.error] : Set(state), olderThan: olderThan?.duration,
            removingAttachmentsBut: removeAttachments ? Set(keep) : nil, progress: display.report)
        display.end()
        options.output.answer(["set": .string(set.name), "reset": .integer(count)], ["\(count) tokens are todo again"])
    }
}

struct SetCancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "Start no more tokens of a set; those that run are left to end.",
        discussion: "`tokenpool set resume` takes it back.")

    @OptionGroup var set: SetName
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let display = SetProgressDisplay(options.output)
        defer { display.end() }
        let count = try await options.tokenSets().cancel(set.name, progress: display.report)
        display.end()
        options.output.answer(["set": .string(set.name), "held": .integer(count)], ["\(count) tokens are held back"])
    }
}

struct SetResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Go on with a set that was cancelled or left half released.")

    @OptionGroup var set: SetName
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let display = SetProgressDisplay(options.output)
        defer { display.end() }
        try await options.tokenSets().resume(set.name, progress: display.report)
        display.end()
        options.output.answer(
            ["set": .string(set.name)], ["set \"\(Output.printable(set.name))\" goes on"])
    }
}

struct SetDeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete a set and all its tokens, with their files.")

    @Flag(help: "Delete even while workers hold tokens of the set.")
    var force = false

    @OptionGroup var set: SetName
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let display = SetProgressDisplay(options.output)
        defer { display.end() }
        let count = try await options.tokenSets().delete(set.name, force: force, progress: display.report)
        display.end()
        options.output.answer(
            ["set": .string(set.name), "deleted": .integer(count)],
            ["set \"\(Output.printable(set.name))\" and its \(count) tokens are deleted"])
    }
}

struct SetArchiveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "archive", abstract: "Write a set with all its tokens and files into a new folder or file.",
        discussion: "`tokenpool set restore` puts it back, here or into another pool.")

    @OptionGroup var set: SetName

    @Argument(
        help: "What to make: a folder, or one file when it ends in .tar.gz (default: the set's name and .tar.gz).",
        completion: .directory)
    var folder: String?

    @Flag(help: "Delete the set when the archive is whole.")
    var delete = false

    @OptionGroup var options: GlobalOptions

    func validate() throws {
        // Else it would be a folder of that name.
        for end in [".tar", ".tar.xz", ".tar.zst", ".tar.bz2", ".zip"] where folder?.hasSuffix(end) == true {
            throw ValidationError("an archive in one file ends in .tar.gz, not in \(end)")
        }
    }

    func run() async throws {
        let sets = try options.tokenSets()
        let target = folder ?? set.name.replacing("/", with: "_") + ".tar.gz"
        let isFile = target.hasSuffix(".tar.gz") || target.hasSuffix(".tgz")
        if isFile, FileManager.default.fileExists(atPath: target) {
            throw CommandFailure(message: "archiving set \"\(set.name)\": \(target) exists already; name a new file")
        }
        let place = isFile ? target + ".folder" : target
        let display = SetProgressDisplay(options.output)
        defer { display.end() }
        let report = try await sets.archive(set.name, to: place, progress: display.report)
        if isFile {
            try await PortableArchive.pack(place, to: target)
            try FileManager.default.removeItem(atPath: place)
        }
        if delete { try await sets.delete(set.name, progress: display.report) }
        display.end()
        options.output.answer(
            report.json, ["\(report.tokens) tokens and \(report.files) files are in \(Output.printable(target))"])
    }
}

struct SetRestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Put an archived set back into a pool.")

    @Argument(help: "The archive: its folder, or its file.", completion: .file())
    var folder: String

    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let display = SetProgressDisplay(options.output)
        defer { display.end() }
        let sets = try options.tokenSets()
        var isFolder: ObjCBool = false
        let report: ArchiveReport
        if FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder), !isFolder.boolValue {
            let place = FileManager.default.temporaryDirectory.appending(path: "tokenpool-restore-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
            // A copy for the moment: when it can not be removed it is only in the way.
            defer { try? FileManager.default.removeItem(at: place) }
            try await PortableArchive.unpack(folder, into: place.path(percentEncoded: false))
            report = try await sets.restore(from: place.path(percentEncoded: false), progress: display.report)
        } else {
            report = try await sets.restore(from: folder, progress: display.report)
        }
        display.end()
        options.output.answer(
            report.json,
            [
                "set \"\(Output.printable(report.name))\": \(report.tokens) tokens restored"
                    + (report.present > 0 ? ", \(report.present) were there already" : "")
            ])
    }
}
