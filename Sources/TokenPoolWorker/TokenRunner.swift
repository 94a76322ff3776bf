import CouchDB
import CouchDocument
import FoundationEssentials
import Glibc
import Sandboxes
import TokenPool

/// Runs tokens: a folder, the files that go with the token, the command, and what it left.
struct TokenRunner: Sendable {
    let pool: Pool
    let options: PilotOptions
    let threads: BlockingThreads
    let environment: RunEnvironment
    let logs = LogStock()

    init(pool: Pool, options: PilotOptions, threads: BlockingThreads) throws {
        self.pool = pool
        self.options = options
        self.threads = threads
        try FileManager.default.createDirectory(
            atPath: options.workDirectory, withIntermediateDirectories: true)
        environment = RunEnvironment(inherited: options.environment)
    }

    /// What a token leaves that could not be prepared.
    func report(of control: RunControl, failed error: any Error, since started: Timestamp) -> RunReport {
        let isStopped = control.stopReason != nil
        var result = TokenResult(
            outcome: .failed, exitCode: (error as? RunFailure)?.exitCode, started: started, ended: pool.clock.now(),
            messages: isStopped ? [] : [Self.words(for: error)])
        note(control.stopReason, in: &result)
        return RunReport(result: result, uploads: [], copies: [], folder: folder(of: control.claim))
    }

    private func folder(of claim: ClaimedToken) -> WorkFolder {
        WorkFolder(base: options.workDirectory, tokenID: claim.token.id, lease: claim.lease.id)
    }

    private static func words(for error: any Error) -> String {
        error is CancellationError ? "the preparation was cancelled" : "\(error)"
    }

    /// Brings the files of a token that needs some, so that ``terminate`` cuts it short. What it throws fails the token.
    func fetch(_ control: RunControl) async throws -> [String: FileStamp] {
        let claim = control.claim
        let folder = folder(of: claim)
        try await control.prepare { try await prepare(claim, folder) }
        let globs = claim.token.pool.outputs
        return try await threads.run { try FileStamp.stamps(of: globs, in: folder.path) }
    }

    private func prepare(_ claim: ClaimedToken, _ folder: WorkFolder) async throws {
        let token = claim.token
        try await threads.run { try folder.create() }
        if let json = token.pool.sandbox, !json.isNull {
            // Made when needed: not every machine has a home to cache in.
            let cache = try SandboxCache(
                folder: options.sandboxDirectory ?? SandboxCache.defaultFolder(environment: options.environment))
            let prepared = try await cache.prepare(
                SandboxSpec(json: json), database: pool.database, token: token.id)
            try await cache.unpack(prepared, into: folder.path)
        }
        for name in token.inputAttachments {
            let file = WorkFolder.fileName(ofAttachment: name)
            try await threads.run { try folder.makeFolders(for: file) }
            try await pool.database.downloadAttachment(name, of: token.id, to: folder.file(file))
            // GRID_LRT's scripts look for a name with slashes under one with underscores.
            if file.contains("/") { symlink(file, folder.file(file.replacing("/", with: "_"))) }
        }
    }

    /// Makes the folder, unless ``fetch(_:)`` did, and what lies in it and beside it for any token. Blocks.
    func make(_ control: RunControl, known: [String: FileStamp]? = nil) throws -> PreparedRun {
        let token = control.claim.token
        let folder = folder(of: control.claim)
        if known == nil { try folder.create() }
        try folder.write(token.document.encodedForCommand(), to: "token.json")
        let limit = token.pool.logLimit ?? options.logLimit
        let output = try logs.log(at: folder.outputPath, limit: limit)
        do {
            let errors = try logs.log(at: folder.errorPath, limit: limit)
            control.watch([output, errors])
            return PreparedRun(control: control, folder: folder, output: output, errors: errors, known: known ?? [:])
        } catch {
            output.close()
            throw error
        }
    }

    /// Undoes a preparation that nobody needs. Blocks.
    func discard(_ run: PreparedRun) {
        run.closeLogs()
        _ = run.folder.remove()
    }

    /// Removes what a preparation that failed left, so that it can be tried again. Blocks.
    func discard(failed control: RunControl) { _ = folder(of: control.claim).remove() }

    /// Starts the command. What keeps it from starting becomes part of the report.
    func start(_ run: PreparedRun, slot: Int) -> StartedRun {
        let claim = run.control.claim
        let values = CommandValues(
            claim: claim, database: pool.database.name, folder: run.folder.path, slot: slot)
        var failure: (any Error)?
        do {
            let command = try CommandLine(
                for: claim.token, own: options.command, values: values,
                hasMaster: access(run.folder.file("master.sh"), X_OK) == 0)
            let variables = try environment.entries(for: values)
            let output = try run.output.openForCommand()
            defer { close(output) }
            let errors = try run.errors.openForCommand()
            defer { close(errors) }
            try run.control.process.start(
                ChildSpec(
                    arguments: command.arguments, environment: variables, folder: run.folder.path, output: output,
                    errors: errors))
        } catch {
            failure = error
        }
        return StartedRun(run: run, values: values, began: pool.clock.now(), failure: failure)
    }

    /// Waits for the command's end, and notes whether somebody wanted it by then. Blocks.
    func wait(_ started: StartedRun) -> TokenResult {
        var result: TokenResult
        if let failure = started.failure {
            result = TokenResult(
                exitCode: (failure as? SpawnError)?.exitCode ?? 1, started: started.began, ended: pool.clock.now())
            result.messages = ["\(failure)"]
        } else {
            let exit = started.control.process.wait()
            result = TokenResult(exitCode: exit.code, started: started.began, ended: pool.clock.now())
        }
        note(started.control.stopReason, in: &result)
        return result
    }

    /// Makes the report of a command that has ended: its logs, what it left, its outputs. Blocks.
    func finish(_ started: StartedRun, _ result: TokenResult) -> RunReport {
        defer { started.run.closeLogs() }
        do {
            if let failure = started.failure, !(failure is SpawnError) { throw failure }
            return try collect(started, result)
        } catch {
            return report(of: started.control, failed: error, since: started.began)
        }
    }

    private func collect(_ started: StartedRun, _ result: TokenResult) throws -> RunReport {
        let (run, values) = (started.run, started.values)
        let (folder, token) = (run.folder, values.token)
        var result = result
        var uploads: [RunReport.Upload] = []
        let stdout = try run.output.kept()
        for (bytes, end) in [(stdout, "out"), (try run.errors.kept(), "err")] {
            add(
                RunReport.Upload(
                    name: token.logName(end), contentType: "text/plain; charset=utf-8", source: .bytes(bytes)),
                to: &result, &uploads)
        }
        let read = ResultReader(of: token, folder: folder, stdout: stdout)
        result.output = read.output
        result.fields = read.fields
        result.messages += read.problems
        if !read.problems.isEmpty, result.outcome == .done { result.outcome = .failed }
        var copies: [OutputCopy] = []
        let target = try token.pool.outputTarget.map { try values.fill($0, quoting: .plain) }
        collectOutputs(of: token, folder, known: run.known, into: &result, &uploads, copies: &copies, to: target)
        return RunReport(result: result, uploads: uploads, copies: copies, folder: folder)
    }

    /// What was ended from outside says so, whatever exit code the command made of it.
    private func note(_ reason: PilotState.StopReason?, in result: inout TokenResult) {
        switch reason {
        case .timeLimit(let limit):
            result.outcome = .timeLimit
            result.messages.append("time limit of \(limit.words) exceeded; the command was ended")
        case .pilotEnds:
            result.outcome = .released
            result.handBack = options.onStop
            result.exitCode = nil
        case .leaseLost, nil: break
        }
    }

    private func collectOutputs(
        of token: Token, _ folder: WorkFolder, known: [String: FileStamp], into result: inout TokenResult,
        _ uploads: inout [RunReport.Upload], copies: inout [OutputCopy], to target: String?
    ) {
        do {
            let globs = token.pool.outputs
            guard !globs.isEmpty else { return }
            let collection = try OutputCollector.collect(globs, in: folder.path)
            result.messages += collection.refused
            for file in collection.files
            where file.name != "token.json" && known[file.name].map({ $0 != FileStamp(file.path) }) ?? true {
                if let limit = token.pool.outputLimit, file.size > limit {
                    if result.outcome == .done { result.outcome = .failed }
                    result.messages.append(
                        "output \(file.name) is not kept: it has \(file.size) bytes, and \(limit) are the most (output_limit)"
                    )
                    continue
                }
                if let target {
                    copies.append(
                        OutputCopy(
                            path: file.path, name: file.name, contentType: file.contentType, target: target,
                            tokenID: token.id))
                    continue
                }
                result.uploads[file.name] = ["length": .integer(file.size), "content_type": .string(file.contentType)]
                add(
                    RunReport.Upload(
                        name: file.name, contentType: file.contentType,
                        source: file.size <= options.inlineLimit
                            ? .bytes(Array(try Data(contentsOf: URL(filePath: file.path)))) : .file(file.path)),
                    to: &result, &uploads)
            }
        } catch {
            if result.outcome == .done { result.outcome = .failed }
            result.messages.append("the outputs could not be collected: \(error)")
        }
    }

    /// Small files travel with the result, others before it.
    private func add(
        _ upload: RunReport.Upload, to result: inout TokenResult, _ uploads: inout [RunReport.Upload]
    ) {
        let inlined = result.attachments.reduce(0) { $0 + $1.bytes.count }
        if case .bytes(let bytes) = upload.source, bytes.count <= options.inlineLimit, inlined + bytes.count <= 1 << 20
        {
            result.attachments.append(.init(name: upload.name, contentType: upload.contentType, bytes: bytes))
        } else {
            uploads.append(upload)
        }
    }
}

/// What a try left: its result, and the files that are too large to travel with it.
struct RunReport: Sendable {
    struct Upload: Sendable {
        enum Source: Sendable {
            case bytes([UInt8])
            case file(String)
        }
        var name: String
        var contentType: String
        var source: Source
    }

    var result: TokenResult
    var uploads: [Upload]
    /// What goes elsewhere than into the database.
    var copies: [OutputCopy]
    let folder: WorkFolder
}

/// What tells whether a file was written to.
struct FileStamp: Hashable, Sendable {
    let size: Int
    let seconds: Int
    let nanoseconds: Int

    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        size = Int(status.st_size)
        seconds = status.st_mtim.tv_sec
        nanoseconds = status.st_mtim.tv_nsec
    }

    /// The stamps of the files that globs mean, by name.
    static func stamps(of globs: [String], in folder: String) throws -> [String: FileStamp] {
        guard !globs.isEmpty else { return [:] }
        var stamps: [String: FileStamp] = [:]
        for file in try OutputCollector.files(matching: globs, in: folder) { stamps[file.name] = FileStamp(file.path) }
        return stamps
    }
}

extension Document {
    /// The token as its command may read it: without the stubs of attachments, which lie beside it as files.
    fileprivate func encodedForCommand() -> [UInt8] {
        var fields = fields
        fields["_attachments"] = nil
        return JSON.object(fields).encoded()
    }
}

extension Duration {
    /// In words for people: `90 s`, `1.5 s`.
    var words: String {
        let milliseconds = wholeMilliseconds
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000) s" : "\(Double(milliseconds) / 1000) s"
    }
}
