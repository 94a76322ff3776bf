import ArgumentParser
import CouchDocument
import DispatcherClient
import Foundation

struct WorkerNextCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "next", abstract: "Reserve the next file of a project.",
        usage: "next [-w <worker id>] [-c <cpu site>] [-j [<json file>]] [-t <timeout>] <project_id>",
        discussion: """
            Prints namespace:name and exits with 0; or prints timeout, or done when the project is over, and exits with 1. \
            Any other trouble is told on stderr.
            """)

    @Option(
        name: .customShort("w"), parsing: .unconditional,
        help: ArgumentHelp(
            "The worker's name (default: as .data_dispatcher_worker_id says, see `worker id`).", valueName: "worker id")
    )
    var worker: String?
    @Option(
        name: .customShort("c"), parsing: .unconditional,
        help: ArgumentHelp("Where this is: the nearest file by the proximity map for this site.", valueName: "cpu site")
    )
    var site = "DEFAULT"
    @Option(
        name: .customShort("j"), defaultAsFlag: "", parsing: .next,
        help: ArgumentHelp(
            "Write the file's information as JSON: into this file, or without one to stdout.", valueName: "json file"),
        completion: .file())
    var json: String?
    @Option(
        name: .customShort("t"),
        help: ArgumentHelp(
            "Wait so many seconds (default: until there is a file or the project is over).", valueName: "seconds"))
    var timeout: Int?
    @OptionGroup var options: DispatcherOptions
    @Argument(help: "The project.")
    var words: [String] = []

    /// The number of the project, and where JSON goes: an empty name is stdout.
    private var targets: (project: Int, json: String?)? {
        // The word behind -j is a file's name only when the project comes after it.
        if words.isEmpty, let json, let project = Int(json) { return (project, "") }
        guard words.count == 1, let project = Int(words[0]) else { return nil }
        return (project, json)
    }

    func validate() throws {
        guard targets != nil else {
            throw ValidationError(
                words.isEmpty ? "Missing expected argument '<project_id>'" : "One number of a project is wanted")
        }
        if let timeout, timeout < 0 { throw ValidationError("-t wants a number of seconds") }
    }

    func run() async throws {
        guard let (project, json) = targets else { return }
        let output = Output(style: .people)
        let client = try DispatcherAccess(options).client()
        let worker = try worker ?? WorkerIDFile.here.current()
        let answer: NextFile
        do {
            answer = try await client.next(
                project: project, worker: worker, site: site, within: timeout.map { .seconds($0) })
        } catch let error as DispatcherError where error.code == .notFound {
            output.line("project not found")
            throw ExitStatus.no
        }
        guard case .file(let file) = answer else {
            let word = if case .nothing = answer { "timeout" } else { "done" }
            output.line(json == "" ? "{\"state\": \"\(word)\"}" : word)
            throw ExitStatus.no
        }
        guard let json else { return output.line(file.did) }
        var information = file
        let replicas = file.replicas.enumerated().sorted {
            let (left, right) = ($0.element.number("preference"), $1.element.number("preference"))
            return left == right ? $0.offset < $1.offset : left < right
        }
        information["replicas"] = .array(replicas.map { .object($0.element) })
        let text = PythonText.json(.object(information))
        if json.isEmpty { return output.line(text) }
        do { try Data((text + "\n").utf8).write(to: URL(filePath: json), options: .atomic) } catch {
            // Nobody would know of the file: the next worker may have it.
            try await client.release(file.did, of: project, as: .retry, worker: worker)
            throw CommandFailure(
                message: "\(json) can not be written, \(file.did) is given back: \(error.localizedDescription)")
        }
        output.line(file.did)
    }
}

extension WorkerIDFile {
    /// The one in the working directory.
    static var here: WorkerIDFile { WorkerIDFile(folder: FileManager.default.currentDirectoryPath) }
}
