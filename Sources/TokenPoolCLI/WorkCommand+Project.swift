import ArgumentParser
import Foundation
import TokenPool
import TokenPoolWorker

struct ProjectWorkArguments: ParsableArguments {
    @Option(help: "Process the files of this project of the dispatcher instead of tokens.")
    var project: Int?
    @Option(help: "Where this is: the nearest files by the proximity map for this site (default: DEFAULT).")
    var site: String?
    @Option(
        parsing: .singleValue,
        help: "An exit code that fails a file for good, in place of 65 (EX_DATAERR); repeat for more.")
    var finalOn: [Int] = []
    @Option(help: "Fail a file for good when so many tries failed (default: as the project says).")
    var maxAttempts: Int?
    @Option(help: "The worker's name, which no other may have (default: a new one).")
    var worker: String?
}

// The files of a project in place of tokens.
extension WorkCommand {
    func validateProject() throws {
        guard files.project != nil else {
            let given = [
                (files.site != nil, "--site"), (!files.finalOn.isEmpty, "--final-on"),
                (files.maxAttempts != nil, "--max-attempts"), (files.worker != nil, "--worker"),
            ].first { $0.0 }
            if let given { throw ValidationError("\(given.1) goes with --project") }
            return
        }
        let given = [
            (view != nil, "--view"), (!set.isEmpty, "--set"), (order != nil, "--order"), (inOrder, "--in-order"),
            (cores != nil, "--cores"), (memory != nil, "--memory"), (gpus != 0, "--gpus"), (!offer.isEmpty, "--offer"),
            (lease != nil, "--lease"), (onStop != .todo, "--on-stop"), (wait, "--wait"),
            (logDocuments, "--log-documents"), (sandboxCache != nil, "--sandbox-cache"), (keep, "--keep"),
        ].first { $0.0 }
        if let given { throw ValidationError("\(given.1) is for tokens, not for files of a project") }
        guard !command.isEmpty else {
            throw ValidationError("--project wants a command after --, such as -- ./run {url}")
        }
        if let code = files.finalOn.first(where: { !(1...255).contains($0) }) {
            throw ValidationError("--final-on wants exit codes from 1 to 255, not \(code)")
        }
        if let most = files.maxAttempts, most < 1 { throw ValidationError("--max-attempts must be at least 1") }
    }

    func work(on project: Int) async throws {
        let environment = ProcessInfo.processInfo.environment
        let identity = WorkerIdentity(
            hostname: ProcessInfo.processInfo.hostName, processID: Int(ProcessInfo.processInfo.processIdentifier),
            environment: environment)
        let scratch = try workFolder()
        defer {
            // A folder of our own, of which nothing is wanted any more.
            if workDir == nil { try? FileManager.default.removeItem(atPath: scratch) }
        }
        var settings = ProjectPilotOptions(
            project: project, worker: files.worker ?? identity.name, command: command, environment: environment,
            folder: FileManager.default.currentDirectoryPath, scratch: scratch)
        settings.site = files.site ?? settings.site
        settings.slots = slots
        if !files.finalOn.isEmpty { settings.finalCodes = Set(files.finalOn) }
        settings.maxAttempts = files.maxAttempts
        settings.timeLimit = timeLimit?.duration
        settings.condition = StopCondition(maxTime: maxTime?.duration, maxTokens: maxTokens, waits: true)
        if let grace { settings.grace = grace.duration }
        if let patience { settings.patience = patience.duration }
        // Our own events are data then.
        if options.json { settings.output = STDERR_FILENO }
        try await ProjectWork(options: options, settings: settings).run()
    }
}
