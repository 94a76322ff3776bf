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

    init(pool: Pool, options: PilotOptions, threads: BlockingThreads) throws {
        self.pool = pool
        self.options = options
        self.threads = threads
        try FileManager.default.createDirectory(
            atPath: options.workDirectory, withIntermediateDirectories: true)
        environment = RunEnvironment(inherited: options.environment)
    }

    /// Runs a token to its end, whatever end that is: what fails becomes part of the report.
    func run(_ control: RunControl) async -> RunReport {
        let claim = control.claim
        let folder = WorkFolder(base: options.workDirectory, tokenID: claim.token.id, lease: claim.lease.id)
        let started = pool.clock.now()
        do {
            var prepared: [String: FileStamp] = [:]
            if needsPreparation(claim.token) {
                try await control.prepare { try await prepare(claim, folder) }
                let globs = claim.token.pool.outputs
                prepared = try await threads.run { try FileStamp.stamps(of: globs, in: folder.path) }
            }
            let known = prepared
            return try await threads.run { try execute(control, folder, known: known, started: started) }
        } catch {
            let isStopped = control.stopReason != nil
            var result = TokenResult(
                outcome: .failed, exitCode: (error as? RunFailure)?.exitCode, started: started, ended: pool.clock.now(),
                messages: isStopped ? [] : [Self.words(for: error)])
            note(control.stopReason, in: &result)
            return RunReport(result: result, uploads: [], copies: [], folder: folder)
        }
    }

    private static func words(for error: any Error) -> String {
        error is CancellationError ? "the preparation was cancelled" : "\(error)"
    }

    private func needsPreparation(_ token: Token) -> Bool {
        token.pool.sandbox.map { !$0.isNull } ?? false || !token.inputAttachments.isEmpty
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

    /// All that blocks, on one thread: the files, the command, its logs and outputs.
    private func execute(
        _ control: RunControl, _ folder: WorkFolder, known: [String: FileStamp], started: Timestamp
    ) throws -> RunReport {
        let claim = control.claim
        let token = claim.token
        if !needsPreparation(token) { try folder.create() }
        try folder.write(token.document.encodedForCommand(), to: "token.json")
        let limit = token.pool.logLimit ?? options.logLimit
        let output = try CapturedLog(path: folder.outputPath, limit: limit)
        defer { output.close() }
        let errors = try CapturedLog(path: folder.errorPath, limit: limit)
        defer { errors.close() }
        control.watch([output, errors])
        defer { control.watch([]) }

        let values = CommandValues(
            claim: claim, database: pool.database.name, folder: folder.path, slot: control.slot)
        let command = try CommandLine(
            for: token, own: options.command, values: values, hasMaster: access(folder.file("master.sh"), X_OK) == 0)
        let spec = ChildSpec(
            arguments: command.arguments, environment: try environment.entries(for: values), folder: folder.path,
            output: output.descriptor, errors: errors.descriptor)
        let began = pool.clock.now()
        var result: TokenResult
        do {
            let exit = try control.process.run(spec)
            result = TokenResult(exitCode: exit.code, started: began, ended: pool.clock.now())
        } catch {
            result = TokenResult(exitCode: error.exitCode, started: began, ended: pool.clock.now())
            result.messages = ["\(error)"]
        }
        note(control.stopReason, in: &result)

        var uploads: [RunReport.Upload] = []
        let stdout = try output.kept()
        for (bytes, end) in [(stdout, "out"), (try errors.kept(), "err")] {
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
        collectOutputs(of: token, folder, known: known, into: &result, &uploads, copies: &copies, to: target)
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
