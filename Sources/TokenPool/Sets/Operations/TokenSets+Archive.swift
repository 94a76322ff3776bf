import CouchDB
import CouchDocument
import Foundation

/// What an archive holds, or what was restored of it.
public struct ArchiveReport: Hashable, Sendable {
    /// The set's name.
    public var name = ""
    /// Tokens.
    public var tokens = 0
    /// Attached files.
    public var files = 0
    /// Tokens that were there already and were left alone.
    public var present = 0

    /// The report as data.
    public var json: JSON {
        [
            "set": .string(name), "tokens": .integer(tokens), "files": .integer(files), "present": .integer(present),
        ]
    }
}

extension TokenSets {
    /// Writes a set to a folder: `set.json`, `tokens.jsonl` with a token a line, and `attachments/<token>/<file>`.
    ///
    /// The folder must not exist; it appears under its name when it is whole. The set stays in the pool.
    @discardableResult
    public func archive(_ name: String, to folder: String, progress: Progress? = nil) async throws -> ArchiveReport {
        let set = try await set(name)
        let manager = FileManager.default
        guard !manager.fileExists(atPath: folder) else {
            throw PoolError(.badInput, "archiving set \"\(name)\": \(folder) exists already; name a new folder")
        }
        let total = try await counts(of: name).total
        var report = ArchiveReport()
        report.name = name
        let partial = folder + ".partial"
        // What an archive that was cut off left behind must not come into this one.
        if manager.fileExists(atPath: partial) { try manager.removeItem(atPath: partial) }
        try manager.createDirectory(atPath: partial, withIntermediateDirectories: true)
        let root = URL(filePath: partial)
        let list = root.appending(path: "tokens.jsonl").path(percentEncoded: false)
        guard manager.createFile(atPath: list, contents: nil), let lines = FileHandle(forWritingAtPath: list) else {
            throw PoolError(.badInput, "archiving set \"\(name)\": \(list) can not be written")
        }
        try await pages(.setTokens, key: .string(name), size: 100) { rows in
            for document in rows.compactMap(\.document) {
                for attachment in document.attachments.names {
                    let file = root.appending(path: "attachments").appending(path: SafeName.component(document.id))
                        .appending(path: SafeName.path(attachment))
                    try manager.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
                    try await database.downloadAttachment(
                        attachment, of: document.id, revision: document.revision, to: file.path(percentEncoded: false))
                    report.files += 1
                }
                try lines.write(contentsOf: JSON.object(document.fields).encoded() + [UInt8(ascii: "\n")])
                report.tokens += 1
            }
            progress?(SetProgress(phase: .archiving, done: report.tokens, total: total))
        }
        try lines.close()
        try Data(JSON.object(set.document.fields).prettyPrinted().utf8).write(to: root.appending(path: "set.json"))
        try manager.moveItem(atPath: partial, toPath: folder)
        return report
    }

    /// Puts an archived set back, tokens in the states in which they were archived; those that were locked are todo.
    /// Tokens that are there already are left alone.
    @discardableResult
    public func restore(from folder: String, progress: Progress? = nil) async throws -> ArchiveReport {
        let root = URL(filePath: folder)
        func missing(_ file: String) -> PoolError {
            PoolError(.badInput, "restoring from \(folder): it has no readable \(file); is it an archive of a set?")
        }
        guard let data = try? Data(contentsOf: root.appending(path: "set.json")),
            let fields = (try? JSON(parsing: data))?.objectValue, var set = TokenSet(Document(fields: fields))
        else { throw missing("set.json") }
        var report = ArchiveReport()
        report.name = set.name
        set.document.revision = nil
        let wasCancelled = set.state == .cancelled
        set.state = .creating
        set.document["creation"] = ["step": "writing", "until": (now + .seconds(3600)).json]
        if let present = try await database.documentIfPresent(set.document.id).flatMap(TokenSet.init) {
            guard present.state == .creating else {
                throw PoolError(.wrongState, "restoring from \(folder): set \"\(set.name)\" exists; delete it first")
            }
            set.document.revision = present.document.revision
        }
        set.document.revision = try await database.save(set.document)

        var lines = try LineReader(
            path: root.appending(path: "tokens.jsonl").path(percentEncoded: false), file: "tokens.jsonl",
            place: ConfigurationPlace(file: folder))
        var batch: [Document] = []
        var bytes = 0
        func send() async throws {
            for outcome in try await database.bulkSave(batch) {
                switch outcome {
                case .saved: report.tokens += 1
                case .failed(_, let error) where error.code == .conflict: report.present += 1
                case .failed(let id, let error):
                    throw PoolError(.badInput, "restoring token \"\(id)\" failed", cause: error.description)
                }
            }
            batch = []
            bytes = 0
            progress?(SetProgress(phase: .archiving, done: report.tokens + report.present, total: set.tokens))
        }
        while let line = try lines.next() {
            guard let fields = (try? JSON(parsing: line))?.objectValue else {
                throw ConfigurationError(ConfigurationPlace(file: "tokens.jsonl", line: lines.line), "this is no JSON")
            }
            var token = Token(Document(fields: fields))
            token.revision = nil
            if token.state == .locked { token.reset(at: now) }
            if token.state == .todo {
                token.lock = TokenState.waitingLock
                token.pool.hold = "restoring"
            }
            for name in token.document.attachments.names {
                let file = root.appending(path: "attachments").appending(path: SafeName.component(token.id))
                    .appending(path: SafeName.path(name))
                guard let content = try? Data(contentsOf: file) else { throw missing(file.path(percentEncoded: false)) }
                let type = token.document.attachment(name)?.contentType ?? MediaType.of(name)
                token.document.attachments[name] = .inlineAttachment(Array(content), type: type)
                bytes += content.count * 4 / 3
                report.files += 1
            }
            bytes += line.utf8.count
            batch.append(token.document)
            if batch.count == Self.batchSize || bytes > Self.batchBytes { try await send() }
        }
        try await send()
        let finished = try await change(set.name) { set in
            set.state = wasCancelled ? .cancelled : .ready
            set.document["creation"] = ["step": wasCancelled ? "finished" : "releasing"]
            return true
        }
        if !wasCancelled { try await release(finished) }
        return report
    }
}
