import ArgumentParser
import CouchDocument
import DispatcherClient

/// Which file, and whose.
struct ReleaseOptions: ParsableArguments {
    @Option(
        name: .customShort("w"), parsing: .unconditional,
        help: ArgumentHelp(
            "The worker that has it (default: as .data_dispatcher_worker_id says).", valueName: "worker id"))
    var worker: String?
    @Argument(help: "The project.")
    var projectID: Int
    @Argument(help: "The file, namespace:name; or all, for every file that the worker has.")
    var did: String
    @OptionGroup var options: DispatcherOptions

    func validate() throws {
        if did != "all", !did.contains(":") { throw ValidationError("Invalid DID format: \(did)") }
    }

    func release(as verdict: FileVerdict) async throws {
        let client = try DispatcherAccess(options).client()
        let worker = try worker ?? WorkerIDFile.here.current()
        let dids = did == "all" ? try await client.reserved(project: projectID, worker: worker).map(\.did) : [did]
        for did in dids { try await client.release(did, of: projectID, as: verdict, worker: worker) }
    }
}

struct WorkerDoneCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "done", abstract: "Say that a file was processed.")

    @OptionGroup var release: ReleaseOptions

    func run() async throws { try await release.release(as: .done) }
}

struct WorkerFailedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "failed", abstract: "Say that a file could not be processed: it is tried again later.")

    @Flag(name: .customShort("f"), help: "For good: it is not tried again.")
    var final = false
    @OptionGroup var release: ReleaseOptions

    func run() async throws { try await release.release(as: final ? .failed : .retry) }
}

struct WorkerIDCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "id", abstract: "Print or set the name of this worker.",
        discussion: "It is kept in .data_dispatcher_worker_id of the working directory.")

    @Flag(name: .customShort("n"), help: "Take a new random name.")
    var new = false
    @Argument(help: "The new name.")
    var name: String?
    @OptionGroup var options: DispatcherOptions

    func validate() throws {
        guard !new || name == nil else { throw ValidationError("-n goes without a name") }
        if let name, name.allSatisfy(\.isWhitespace) || name.contains(where: \.isNewline) {
            throw ValidationError("a worker's name is one line, and not empty")
        }
    }

    func run() async throws {
        let file = WorkerIDFile.here
        if let name { try file.set(name) }
        Output(style: .people).line(try new ? file.renew() : file.current())
    }
}

/// The files that a worker of a project has.
enum ReservedFiles {
    static func print(of project: Int, worker: String?, json: Bool, _ options: some ServerOptions) async throws {
        let output = Output(style: .people)
        let client = try DispatcherAccess(options).client()
        let worker = try worker ?? WorkerIDFile.here.current()
        do {
            let handles = try await client.reserved(project: project, worker: worker)
            if json { return output.line(PythonText.json(.array(handles.map { .object($0) }))) }
            for handle in handles { handle.fieldLines().forEach(output.line) }
        } catch let error as DispatcherError where error.code == .notFound {
            throw CommandFailure(message: "project not found")
        }
    }
}
