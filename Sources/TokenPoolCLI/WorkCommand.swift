import ArgumentParser
import CouchDB
import CouchDocument
import Foundation
import Logging
import TokenPool
import TokenPoolWorker
import UnixSignals

extension WorkOrder: ExpressibleByArgument {}

struct WorkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "work",
        abstract:
            "Claim tokens and run them, until the pool is empty; or process the files of a project, until it is over.",
        discussion: """
            A token's command is its pool.command; else the command given after --, with templates such as {id} and \
            {input}; else its input as a line for the shell.

            SIGTERM or SIGINT ends the running commands, attaches their outputs so far and hands the tokens back; a server \
            that does not answer meanwhile is tried for the --grace. A second signal kills the commands and ends after \
            three seconds; what could not be handed back is named and left to its lease. Exit code 0 when the pilot ended \
            as it should, whatever became of the tokens.

            With --project N: reserves files of the dispatcher's project and runs the command after -- for each, with \
            {url}, {did}, {namespace}, {name} and {rse} in it (no shell). Exit code 0 of the command: the file is done; 65, \
            or what --final-on says: it failed for good; any other: it is tried again later.
            """)

    @OptionGroup var options: GlobalOptions
    @Option(name: [.short, .long], help: "How many tokens run at once.")
    var slots = 1
    @Option(
        help:
            "The view to take tokens from, as PiCaS does, whatever they require (default: all that fits, by priority and fair shares)."
    )
    var view: ViewArgument?
    @Option(help: "Only tokens of this set; repeat for more.")
    var set: [String] = []
    @Option(
        help:
            "Of what fits: priority (the best first, fair shares among equals), oldest (the best priority first, the oldest among equals) or random (default: priority)."
    )
    var order: WorkOrder?
    @Flag(help: "Take rows in the order of --view instead of at random.")
    var inOrder = false
    @Option(help: "Cores that tokens may use together (default: this machine's, at least --slots).")
    var cores: Int?
    @Option(help: "Memory that tokens may use together, such as 16G (default: this machine's).")
    var memory: SizeArgument?
    @Option(help: "Graphics processors that tokens may use together (default: 0).")
    var gpus = 0
    @Option(help: "Something else that tokens may require of this worker, NAME=VALUE; repeat for more.")
    var offer: [FieldArgument] = []
    @Option(help: "How long a token stays locked when this worker is not heard of, such as 5m.")
    var lease: DurationArgument?
    @Option(help: "Take no more tokens after this time, such as 2h (default: no end).")
    var maxTime: DurationArgument?
    @Option(help: "Take no more than so many tokens (default: any number).")
    var maxTokens: Int?
    @Option(help: "End a command that takes longer, for tokens that set no limit (default: none).")
    var timeLimit: DurationArgument?
    @Option(help: "How long to keep trying while the server does not answer (default: 1h).")
    var patience: DurationArgument?
    @Option(help: "The time between TERM and KILL, and for a last word to the server (default: 10s).")
    var grace: DurationArgument?
    @Option(
        help:
            "What SIGTERM and SIGINT make of tokens whose commands they end: todo, leave (locked until somebody resets them) or error (default: todo)."
    )
    var onStop = OnStop.todo
    @Flag(help: "Wait for more when the pool is empty instead of ending.")
    var wait = false
    @Flag(help: "Write what happens into the pool as log documents too; see `tokenpool pool log`.")
    var logDocuments = false
    @Option(help: "Where the work folders are made (default: a temporary folder).", completion: .directory)
    var workDir: String?
    @Option(
        help: "Where unpacked sandboxes are kept for the next token (default: ~/.cache/tokenpool).",
        completion: .directory)
    var sandboxCache: String?
    @Flag(help: "Keep the work folders.")
    var keep = false
    @OptionGroup(title: "For files of a project") var files: ProjectWorkArguments
    @Argument(parsing: .postTerminator, help: "What to run for tokens without a command of their own.")
    var command: [String] = []

    /// PiCaS' three settings of `token_reset_values`.
    enum OnStop: String, ExpressibleByArgument, CaseIterable {
        case todo, leave, error

        var handBack: HandBack {
            switch self {
            case .todo: .todo
            case .leave: .leave
            case .error: .error
            }
        }
    }

    func validate() throws {
        try validateProject()
        guard (1...10_000).contains(slots) else { throw ValidationError("--slots must be between 1 and 10000") }
        guard view == nil || set.isEmpty else { throw ValidationError("--set and --view can not be used together") }
        guard view == nil || order == nil else {
            throw ValidationError("--order and --view can not be used together: see --in-order")
        }
        guard cores ?? 1 > 0, gpus >= 0 else { throw ValidationError("--cores and --gpus can not be negative") }
        if let lease, lease.duration < .seconds(1) { throw ValidationError("--lease must be at least 1s") }
    }

    func run() async throws {
        if let project = files.project { return try await work(on: project) }
        let environment = ProcessInfo.processInfo.environment
        let folder = try workFolder()
        defer { if workDir == nil && !keep { rmdir(folder) } }
        var settings = PilotOptions(workDirectory: folder, environment: environment)
        settings.slots = slots
        if let lease { settings.lease = lease.duration }
        if let grace { settings.grace = grace.duration }
        if let patience { settings.patience = patience.duration }
        settings.timeLimit = timeLimit?.duration
        settings.onStop = onStop.handBack
        settings.keepsFolders = keep
        settings.sandboxDirectory = sandboxCache
        settings.command = command
        settings.condition = StopCondition(maxTime: maxTime?.duration, maxTokens: maxTokens, waits: wait)
        settings.source = source
        settings.offer = machine
        let identity = WorkerIdentity(
            hostname: ProcessInfo.processInfo.hostName, processID: Int(ProcessInfo.processInfo.processIdentifier),
            environment: environment)
        let pool = try options.pool()
        let progress = WorkProgress(output: options.output, worker: identity.name)
        let journal = WorkJournal(logDocuments ? pool : nil, identity, options.logger)
        let pilot = Pilot(pool: pool, options: settings, identity: identity, logger: journal.logger) {
            progress.note($0)
            journal.note($0)
        }
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let listening = Task {
            for await signal in signals {
                progress.noteSignal("\(signal)")
                pilot.stop()
            }
        }
        defer { listening.cancel() }
        do {
            try await journal.run { try await pilot.run() }
        } catch {
            await progress.end(failed: true)
            throw error
        }
        await progress.end()
        try await refuseUnknownSets(in: pool, progress)
    }

    /// A worker for sets that there are not has nothing to do, which may be a slip of the pen.
    private func refuseUnknownSets(in pool: Pool, _ progress: WorkProgress) async throws {
        guard !wait, !progress.hadTokens else { return }
        for name in set { _ = try await TokenSets(pool).set(name) }
    }

    private var source: ClaimSource {
        if let view { return ClaimSource(view: view.name, order: inOrder ? .asViewed : .shuffled) }
        return .queues(of: set, order: order ?? .priority)
    }

    private var machine: Offer {
        let labels = JSONObject(offer.map { ($0.name, $0.value) })
        let installed = Int(clamping: ProcessInfo.processInfo.physicalMemory)
        return Offer(
            cores: cores ?? max(ProcessInfo.processInfo.activeProcessorCount, slots),
            memory: memory?.bytes ?? installed,
            gpus: gpus, labels: labels)
    }

    func workFolder() throws -> String {
        if let workDir {
            try FileManager.default.createDirectory(atPath: workDir, withIntermediateDirectories: true)
            return URL(filePath: workDir).standardizedFileURL.path(percentEncoded: false)
        }
        let temporary = FileManager.default.temporaryDirectory.path(percentEncoded: false)
        var template = Array((temporary + "/tokenpool-work-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw CommandFailure(
                message: "making a work folder failed: \(String(cString: strerror(errno))); give --work-dir")
        }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
